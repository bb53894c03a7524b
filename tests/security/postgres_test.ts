import { strictEqual } from "node:assert";
import { isRoot, unprivilegedUser } from "../../stack/process/os_user.ts";
import { type PostgresTls, writePostgresTls } from "../../stack/postgres/postgres_tls.ts";
import { judge, reading } from "../support/judge.ts";
import type { Place } from "../../lab/place.ts";
import { LOCAL_NAMES, secure, withTls } from "../support/secure_services.ts";
import { assertNoSecrets } from "../support/secret_forms.ts";
import { assertRefuses } from "./refusal.ts";

const WRONG = "c4nary-Postgres+password";
const DATABASE_PROGRAMS = ["consumer", "reconcile", "scenarios"] as const;

function readings(customer: string) {
  return Array.from({ length: 50 }, (_, index) => {
    return reading(customer, new Date(Date.UTC(2026, 6, 14) + index * 1000).toISOString(), 60 + index);
  });
}

function url(place: Place, change: (url: URL) => void): string {
  const other = new URL(place.databaseUrl);
  change(other);
  return other.href;
}

/** Changes the server's certificate, or makes it require client certificates. */
async function reload(place: Place, tls: PostgresTls): Promise<void> {
  const user = isRoot() ? await unprivilegedUser() : undefined;
  await writePostgresTls(place.stack.postgresFolder, user, tls);
  await place.asSuperuser("select pg_reload_conf()");
}

async function doAllWork(place: Place, DATABASE_URL: string, customer: string): Promise<void> {
  const sent = await place.publisher.send(readings(customer));
  await place.consumeAll({ env: { DATABASE_URL } });
  await judge(place, sent);
  const consumer = place.consumer({ env: { DATABASE_URL } });
  const scenarios = await place.run("scenarios", ["--timeout", "60s"], { DATABASE_URL });
  strictEqual(scenarios.code, 0, scenarios.output);
  strictEqual(await consumer.stop(), 0);
  const reconciled = await place.run("reconcile", [], { DATABASE_URL });
  strictEqual(reconciled.code, 0, reconciled.output);
  const secrets = [new URL(DATABASE_URL).password];
  for (const { output } of [consumer, scenarios, reconciled]) assertNoSecrets(output, secrets);
}

Deno.test(
  "every worker does its work over TLS with sslmode=verify-full, and its sessions are encrypted",
  secure.onPlace({}, async (place) => {
    await doAllWork(place, place.databaseUrl, "a");
    const consumer = place.consumer();
    await consumer.untilLogged("partition.opened");
    const sessions = await place.sql<{ ssl: boolean }>(
      `select ssl from pg_stat_ssl join pg_stat_activity using (pid)
        where datname = current_database() and application_name = 'heartbeat-consumer'`,
    );
    strictEqual(sessions.length > 0 && sessions.every(({ ssl }) => ssl), true);
  }),
);

Deno.test(
  "a PostgreSQL server that requires client certificates accepts a worker that has one, and a worker without one names the missing settings",
  secure.onPlace({}, async (place) => {
    const { postgresTls } = await secure.started();
    await place.consumeAll();
    try {
      await reload(place, { ...postgresTls, asksForCertificate: true });
      const DATABASE_URL = url(place, ({ searchParams }) => {
        searchParams.delete("sslcert");
        searchParams.delete("sslkey");
      });
      const says = /name a client certificate in DATABASE_URL \(sslcert, sslkey\)/;
      const secrets = [new URL(place.databaseUrl).password];
      await assertRefuses(place, DATABASE_PROGRAMS, { DATABASE_URL }, { says, secrets });
      const sent = await place.publisher.send(readings("certified"));
      await place.consumeAll();
      await judge(place, sent);
    } finally {
      await reload(place, postgresTls);
    }
  }),
);

const AUTHORITY =
  /check that sslrootcert in DATABASE_URL has the authority of the server's certificate, and that neither/;

Deno.test(
  "with a wrong DATABASE_URL, every worker names the next step, shows no secret and writes nothing",
  secure.onPlace({}, async (place, t) => {
    const { authority, files, postgresTls } = await secure.started();
    await place.consumeAll();
    await place.publisher.send(readings("unread"));
    const secrets = [WRONG, new URL(place.databaseUrl).password];
    const step = (what: string, DATABASE_URL: string, says: RegExp) =>
      t.step(what, () => assertRefuses(place, DATABASE_PROGRAMS, { DATABASE_URL }, { says, secrets }));
    const login = /SQLSTATE 28P01\); check the user and the password in DATABASE_URL/;
    const withPassword = url(place, (one) => one.password = WRONG);
    await step("a wrong password", withPassword, login);
    await step("an unknown user", url(place, (one) => one.username = "nobody"), login);
    const untrusted = withTls(place.databaseUrl, { sslrootcert: files.stranger });
    await step("an untrusted certificate", untrusted, AUTHORITY);
    const strangers = { sslcert: files.strangersCertificate, sslkey: files.strangersKey };
    const unknown = withTls(place.databaseUrl, strangers);
    await step(
      "a client certificate of a stranger",
      unknown,
      /alert.*check sslcert and sslkey in DATABASE_URL/,
    );
    const plain = url(place, (one) => one.search = "");
    await step(
      "plaintext to a server that requires TLS",
      plain,
      /let DATABASE_URL end in \?sslmode=verify-full/,
    );
    try {
      const expired = authority.issue("expired", { names: LOCAL_NAMES, fromDay: -9, toDay: -1 });
      await reload(place, { ...postgresTls, ...expired });
      await step("an expired certificate", place.databaseUrl, AUTHORITY);
      await reload(place, {
        ...postgresTls,
        ...authority.issue("elsewhere", { names: ["db.example"] }),
      });
      const otherName = /altnames.*its certificate is for another name: correct the host in DATABASE_URL/;
      await step("a certificate for another host", place.databaseUrl, otherName);
    } finally {
      await reload(place, postgresTls);
    }
  }),
);

Deno.test(
  "a consumer is not ready while PostgreSQL refuses its changed password, and continues once the password is right",
  secure.onPlace({}, async (place) => {
    const password = new URL(place.databaseUrl).password;
    const consumer = place.consumer();
    const sent = await place.publisher.send(readings("before"));
    await place.untilCaughtUp();
    const says = /28P01.*check the user and the password in DATABASE_URL/;
    await place.asSuperuser(`alter role heartbeat_user password 'another'`);
    try {
      // A session that is logged in would not notice the new password.
      await place.asSuperuser(
        "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'heartbeat_user'",
      );
      sent.push(...await place.publisher.send(readings("meanwhile")));
      await consumer.untilNotReady(says);
      strictEqual((await consumer.get("/livez")).status, 200);
      await consumer.untilLogged("database.failed", ({ message }) => says.test(message));
    } finally {
      await place.asSuperuser(`alter role heartbeat_user password '${password}'`);
    }
    await place.untilCaughtUp();
    await consumer.untilReady();
    await judge(place, sent);
    assertNoSecrets(consumer.output, [password]);
  }),
);
