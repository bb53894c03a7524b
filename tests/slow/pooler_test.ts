import { deepStrictEqual, match, rejects, strictEqual } from "node:assert";
import { withClient } from "../../stack/postgres/postgres_client.ts";
import { openDatabase, sessionLimits } from "../../workers/_shared/postgres.ts";
import { judge, reading } from "../support/judge.ts";
import { openPooler, type PoolerOptions } from "../support/pooler.ts";
import { onPlace } from "../support/services.ts";

const REFUSED = /Cannot use the database at .*a pooler in transaction mode .*; use pool_mode=session/;
const SESSION = { connections: 1, limits: sessionLimits(30_000), name: "heartbeat-test" };

const TRANSACTION_POOLERS: readonly PoolerOptions[] = [1, 2, 3, 5].flatMap((size) => {
  return [false, true].map((roundRobin) => ({ mode: "transaction" as const, size, roundRobin }));
});

Deno.test(
  "a worker detects a pooler in transaction mode, for any number and order of its sessions, and changes no session",
  onPlace({ partitions: 0 }, async (place) => {
    for (const options of TRANSACTION_POOLERS) {
      await using pooler = await openPooler(place.databaseUrl, options);
      await pooler.fill();
      await using database = openDatabase(pooler.url, SESSION);
      await rejects(database.query("select 1"), REFUSED, JSON.stringify(options));
      for (let session = 0; session < options.size; session++) {
        const { rows } = await withClient(pooler.url, (client) => client.query("show statement_timeout"));
        deepStrictEqual(rows, [{ statement_timeout: "0" }], JSON.stringify(options));
      }
    }
  }),
);

Deno.test(
  "a worker detects a pooler in transaction mode that other programs use at the same time",
  onPlace({ partitions: 0 }, async (place) => {
    await using pooler = await openPooler(place.databaseUrl, {
      mode: "transaction",
      size: 5,
      roundRobin: true,
    });
    await pooler.fill();
    let busy = true;
    const others = [1, 2, 3].map(() =>
      withClient(pooler.url, async (client) => {
        while (busy) await client.query("select 1");
      })
    );
    try {
      await using database = openDatabase(pooler.url, SESSION);
      await rejects(database.query("select 1"), REFUSED);
    } finally {
      busy = false;
      await Promise.all(others);
    }
  }),
);

Deno.test(
  "every worker refuses a pooler in transaction mode at its start, says what to do and changes nothing",
  onPlace({}, async (place) => {
    await using pooler = await openPooler(place.databaseUrl, { mode: "transaction", size: 5 });
    const env = { DATABASE_URL: pooler.url };
    for (const args of [[], ["--migrate-only"], ["--until-caught-up"]]) {
      const consumer = place.consumer({ args, env });
      strictEqual(await consumer.exitCode(), 1, args.join());
      match(consumer.output, REFUSED);
    }
    for (const program of ["reconcile", "scenarios"] as const) {
      const { code, output } = await place.run(program, [], env);
      strictEqual(code, 1, program);
      match(output, REFUSED);
    }
    deepStrictEqual(await place.ends(), [0]);
    deepStrictEqual(await place.sql("select from pg_class where relnamespace = 'public'::regnamespace"), []);
  }),
);

Deno.test(
  "every worker does its work through a pooler in session mode, also with a single session",
  onPlace({}, async (place) => {
    await using pooler = await openPooler(place.databaseUrl, { mode: "session", size: 12 });
    const env = { DATABASE_URL: pooler.url };
    const sent = await place.publisher.send([reading("a", "2026-07-14T09:30:00Z", 70)]);
    await place.consumeAll({ env });
    await judge(place, sent);
    const reconciled = await place.run("reconcile", [], env);
    strictEqual(reconciled.code, 0, reconciled.output);
    const consumer = place.consumer({ env });
    const scenarios = await place.run("scenarios", ["--only", "duplicate", "--timeout", "60s"], env);
    strictEqual(scenarios.code, 0, scenarios.output);
    strictEqual(await consumer.stop(), 0);

    await using small = await openPooler(place.databaseUrl, { mode: "session", size: 1 });
    await using database = openDatabase(small.url, SESSION);
    deepStrictEqual(await database.query("select current_setting('statement_timeout') as limit"), [
      { limit: "14625ms" },
    ]);
  }),
);

Deno.test(
  "target_session_attrs=read-write refuses a read-only session, and target_session_attrs=primary accepts it",
  onPlace({ partitions: 0 }, async (place) => {
    const ask = async (attributes: string) => {
      const url =
        `${place.databaseUrl}?target_session_attrs=${attributes}&options=-c%20default_transaction_read_only%3Don`;
      await using database = openDatabase(url, SESSION);
      return await database.query("select 1 as one");
    };
    for (const attributes of ["any", "primary"]) deepStrictEqual(await ask(attributes), [{ one: 1 }]);
    await rejects(ask("read-write"), { code: "25006" });
  }),
);
