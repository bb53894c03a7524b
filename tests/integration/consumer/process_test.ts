/** The consumer as a process: how it starts, says what is wrong, shares its work, and ends. */
import { deepStrictEqual, doesNotMatch, match, strictEqual } from "node:assert";
import { eventually } from "../../../lab/eventually.ts";
import { judge, reading } from "../../support/judge.ts";
import { onPlace } from "../../support/services.ts";
import { WorkerProcess } from "../../../lab/worker_process.ts";

const T = "2026-07-14T09:30:00Z";

function readings(prefix: string, count: number, partitions = 1) {
  return Array.from({ length: count }, (_, index) => {
    return reading(`${prefix}-${index}`, T, 70, { partition: index % partitions });
  });
}

Deno.test(
  "SIGTERM finishes the batch in hand, tells the group, and ends with 0",
  onPlace({}, async (place) => {
    const consumer = place.consumer({ env: { LOG_SUMMARY_SECONDS: "3600" } });
    const sent = await place.publisher.send(readings("a", 100));
    await place.caughtUp();
    // The batch in hand waits for this lock when the signal comes.
    const holder = await place.session();
    await holder.query("begin; lock table public.heartbeats in share mode");
    sent.push(...await place.publisher.send(readings("b", 100)));
    await eventually("the batch to wait for the lock", async () => {
      const rows = await place.sql(
        "select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'",
      );
      return rows.length === 1;
    });
    consumer.kill("SIGTERM");
    // Only a stop brings a summary before its hour, so that the signal has arrived when it comes.
    await consumer.said("store.summary");
    await holder.query("commit");
    await holder.end();
    strictEqual(await consumer.exitCode(), 0);
    await place.caughtUp();
    await judge(place, sent);
    const groups = await place.admin.listConsumerGroupOffsets({ groups: [{ groupId: place.topic }] });
    const partition = groups[0]?.topics[0]?.partitions[0];
    deepStrictEqual(partition?.committedOffset, 200n);
  }),
);

Deno.test(
  "--until-caught-up says what became of the records, and with --timeout what is missing when it ends with 1",
  onPlace({}, async (place) => {
    const sent = await place.publisher.send([...readings("a", 90), ...readings("a", 9), {
      value: "x",
      fate: { reject: "invalid_json" },
    }]);
    strictEqual(await place.consumer({ args: ["--migrate-only"] }).exitCode(), 0);
    const holder = await place.session();
    await holder.query("begin; lock table public.heartbeats in share mode");
    const late = place.consumer({ args: ["--until-caught-up", "--timeout", "3"] });
    strictEqual(await late.exitCode(), 1);
    match(late.output, /Cannot catch up within 3 s: .*100 of partition 0/);
    await holder.query("rollback");
    await holder.end();
    const { stored, duplicates, rejected, gaps } = await (await place.consumeAll()).said("catch_up.reached");
    deepStrictEqual({ stored, duplicates, rejected, gaps }, {
      stored: 90,
      duplicates: 9,
      rejected: 1,
      gaps: 0,
    });
    await judge(place, sent);
  }),
);

Deno.test(
  "a second consumer takes its share at once, and gives it back when it leaves",
  onPlace({ partitions: 4 }, async (place) => {
    const shares = async () => {
      const assigned = [
        ...await Promise.all(consumers.map((one) => one.metric("heartbeat_assigned_partitions"))),
      ];
      return assigned.join("+");
    };
    const consumers = [place.consumer()];
    await eventually("all partitions", async () => await shares() === "4");
    const sent = await place.publisher.send(readings("a", 40, 4));
    consumers.push(place.consumer());
    await eventually("half each", async () => await shares() === "2+2");
    sent.push(...await place.publisher.send(readings("b", 40, 4)));
    await place.caughtUp();
    strictEqual(await consumers.pop()?.stop(), 0);
    await eventually("all partitions again", async () => await shares() === "4");
    sent.push(...await place.publisher.send(readings("c", 40, 4)));
    await place.caughtUp();
    await judge(place, sent);
  }),
);

Deno.test(
  "malformed settings are told all at once, with 2 as exit code and no secret",
  async () => {
    await using consumer = WorkerProcess.start("consumer", {
      env: {
        DATABASE_URL: "mysql://u:sesame-open@h/d",
        HEART_RATE_LOW: "fourty",
        KAFKA_BOOTSTRAP_SERVERS: "broker",
        KAFKA_SASL_PASSWORD_FILE: "/nonexistent/secret",
        LOG_FORMAT: "xml",
      },
    });
    strictEqual(await consumer.exitCode(), 2);
    deepStrictEqual(consumer.output.trimEnd().split("\n"), [
      "Cannot start the consumer: 5 settings are wrong",
      '  KAFKA_BOOTSTRAP_SERVERS: is "broker", expected host:port or [IPv6 address]:port, several separated by commas',
      "  KAFKA_SASL_PASSWORD_FILE: cannot read /nonexistent/secret, expected a readable file",
      "  DATABASE_URL: is malformed (not shown), expected postgres://user:password@host:5432/database",
      '  HEART_RATE_LOW: is "fourty", expected an integer from 1 to 1000 (beats per minute)',
      '  LOG_FORMAT: is "xml", expected one of json, pretty',
    ]);
  },
);

for (
  const [args, exitCode, said] of [
    [["--nonsense"], 2, /unknown option '--nonsense'/],
    [["--help"], 0, /Examples:[^]*--until-caught-up/],
  ] as const
) {
  Deno.test(`${args} is answered without any setting, with ${exitCode} as exit code`, async () => {
    await using consumer = WorkerProcess.start("consumer", { args });
    strictEqual(await consumer.exitCode(), exitCode);
    match(consumer.output, said);
  });
}

for (
  const [what, change, said] of [
    [
      "a wrong database password",
      { password: "sesame-%2Fopen" },
      /password authentication failed.*28P01.*check the user and the password in DATABASE_URL/,
    ],
    [
      "a database that does not exist",
      { pathname: "/nowhere" },
      /database "nowhere" does not exist.*create the database or correct its name/,
    ],
  ] as const
) {
  Deno.test(
    `${what} ends the start with what to do, and no password is shown`,
    onPlace({ partitions: 0 }, async (place) => {
      const { href } = Object.assign(new URL(place.databaseUrl), change);
      const consumer = place.consumer({ env: { DATABASE_URL: href } });
      strictEqual(await consumer.exitCode(), 1);
      match(consumer.output, said);
      doesNotMatch(consumer.output, /sesame/);
    }),
  );
}

for (
  const [server, env, said] of [
    [
      "database",
      { DATABASE_URL: "postgres://someone:sesame-open@127.0.0.1:9/nowhere" },
      /database: .*127\.0\.0\.1:9.*ECONNREFUSED|refused/,
    ],
    [
      "broker",
      { KAFKA_BOOTSTRAP_SERVERS: "127.0.0.1:9" },
      /kafka: .*127\.0\.0\.1:9.*KAFKA_BOOTSTRAP_SERVERS/,
    ],
  ] as const
) {
  Deno.test(
    `an unreachable ${server} is waited for, not ready and with the reason, and a stop meanwhile is orderly`,
    onPlace({ partitions: 0 }, async (place) => {
      const consumer = place.consumer({ env });
      await consumer.notReady(said);
      strictEqual((await consumer.get("/livez")).status, 200);
      strictEqual(await consumer.stop(), 0);
      doesNotMatch(consumer.output, /sesame/);
    }),
  );
}

Deno.test(
  "a password may come from a file, and a health port that is taken is named",
  onPlace({ partitions: 0 }, async (place) => {
    const file = await Deno.makeTempFile();
    try {
      await Deno.writeTextFile(file, `${place.databaseUrl}\n`);
      const env = { DATABASE_URL: "", DATABASE_URL_FILE: file };
      strictEqual(await place.consumer({ args: ["--migrate-only"], env }).exitCode(), 0);
    } finally {
      await Deno.remove(file);
    }
    using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const port = String(listener.addr.port);
    const consumer = place.consumer({ env: { HEALTH_PORT: port } });
    strictEqual(await consumer.exitCode(), 2);
    match(consumer.output, new RegExp(`port ${port}: is taken.*HEALTH_PORT`));
    doesNotMatch(consumer.output, /\n {4}at /, "a taken port is no bug: no stack trace");
  }),
);
