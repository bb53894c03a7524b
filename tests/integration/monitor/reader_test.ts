import { deepStrictEqual, rejects } from "node:assert";
import { openReader, requireReader } from "../../../workers/_shared/reader.ts";
import { makeRoles, PERMISSION_DENIED, READ_ONLY_TRANSACTION, urlOf } from "../../support/roles.ts";
import { onPlace } from "../../support/services.ts";

Deno.test(
  "a login that may change data, itself or through another role, is refused as the reader; heartbeat_reader is accepted",
  onPlace({ partitions: 0 }, async (place) => {
    const refused = async (url: string, login: string) => {
      await using database = openReader(url, { connections: 1, name: "heartbeat-test" });
      await rejects(requireReader(database, "monitor"), {
        name: "UsageError",
        message:
          `Cannot start the monitor: READER_DATABASE_URL or DATABASE_URL logs in as ${login}, which may change data, expected heartbeat_reader; ` +
          "`consume --migrate-only` with HEARTBEAT_READER_PASSWORD creates this role",
      });
    };
    await refused(place.databaseUrl, "heartbeat_user");
    await makeRoles(place);
    await refused(place.databaseUrl, "heartbeat_user");
    await refused(urlOf(place, "heartbeat_writer"), "heartbeat_writer");
    await refused(place.superuserUrl, "postgres");
    await using database = openReader(urlOf(place, "heartbeat_reader"), {
      connections: 1,
      name: "heartbeat-test",
    });
    await requireReader(database, "monitor");
    await place.sql("grant update (heart_rate) on public.heartbeats to heartbeat_reader");
    await refused(urlOf(place, "heartbeat_reader"), "heartbeat_reader");
    await place.sql("revoke update (heart_rate) on public.heartbeats from heartbeat_reader");
    await place.asSuperuser(
      "create role member login password 'member-pass-1' noinherit in role heartbeat_writer",
    );
    await place.asSuperuser(`grant connect on database "${place.database}" to member`);
    try {
      const url = new URL(place.databaseUrl);
      [url.username, url.password] = ["member", "member-pass-1"];
      await refused(url.href, "member");
    } finally {
      await place.asSuperuser(`revoke connect on database "${place.database}" from member; drop role member`);
    }
  }),
);

Deno.test(
  "a session of the reader is read-only and has limits, even if the login may write",
  onPlace({ partitions: 0 }, async (place) => {
    await using owner = openReader(place.databaseUrl, { connections: 1, name: "heartbeat-test" });
    await rejects(owner.query("create table mine (n int)"), { code: READ_ONLY_TRANSACTION });
    const [limits] = await owner.query(
      `select current_setting('statement_timeout') as statement, current_setting('lock_timeout') as lock,
              current_setting('transaction_timeout') as transaction, current_setting('jit') as jit`,
    );
    deepStrictEqual(limits, { statement: "5s", lock: "2s", transaction: "6s", jit: "off" });
    await makeRoles(place);
    await using reader = openReader(urlOf(place, "heartbeat_reader"), {
      connections: 1,
      name: "heartbeat-test",
    });
    await reader.query("set default_transaction_read_only = off");
    await rejects(reader.query("delete from public.heartbeats"), { code: PERMISSION_DENIED });
  }),
);
