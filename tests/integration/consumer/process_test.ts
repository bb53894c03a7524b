import { deepStrictEqual, doesNotMatch, match, strictEqual } from "node:assert";
import { eventually } from "../../../lab/eventually.ts";
import { judge } from "../../support/judge.ts";
import { waitForLockWait } from "../../support/lock_wait.ts";
import { QUICK_TAKEOVER } from "../../support/quick_takeover.ts";
import { onPlace } from "../../support/services.ts";
import { WorkerProcess } from "../../../lab/worker_process.ts";
import { readings } from "./readings.ts";

Deno.test(
  "after SIGTERM a consumer finishes its batch, commits the offset to its group, and exits with code 0",
  onPlace({}, async (place) => {
    const consumer = place.consumer({ env: { LOG_SUMMARY_SECONDS: "3600" } });
    const sent = await place.publisher.send(readings("a", 100));
    await place.untilCaughtUp();
    const holder = await place.session();
    await holder.query("begin; lock table public.heartbeats in share mode");
    sent.push(...await place.publisher.send(readings("b", 100)));
    await waitForLockWait(place);
    consumer.kill("SIGTERM");
    // Summaries are an hour apart, so this one shows that the consumer has handled the signal.
    await consumer.untilLogged("store.summary");
    await holder.query("commit");
    await holder.end();
    strictEqual(await consumer.exitCode(), 0);
    await place.untilCaughtUp();
    await judge(place, sent);
    const groups = await place.admin.listConsumerGroupOffsets({ groups: [{ groupId: place.topic }] });
    const partition = groups[0]?.topics[0]?.partitions[0];
    deepStrictEqual(partition?.committedOffset, 200n);
  }),
);

Deno.test(
  "a consumer with --until-caught-up logs how many records it stored, and after --timeout exits with code 1 and says what waits",
  onPlace({}, async (place) => {
    const sent = await place.publisher.send([...readings("a", 90), ...readings("a", 9), {
      value: "x",
      fate: { reject: "invalid_json" },
    }]);
    strictEqual(await place.consumer({ args: ["--migrate-only"] }).exitCode(), 0);
    const holder = await place.session();
    await holder.query("begin; lock table public.heartbeats in share mode");
    const late = place.consumer({ args: ["--until-caught-up", "--timeout", "3"], env: QUICK_TAKEOVER });
    strictEqual(await late.exitCode(), 1);
    match(late.output, /Cannot catch up within 3 s: .*100 of partition 0/);
    await holder.query("rollback");
    await holder.end();
    const { stored, duplicates, rejected, gaps } = await (await place.consumeAll()).untilLogged(
      "catch_up.reached",
    );
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
  "a second consumer gets half of the partitions when it joins, and the first gets them back when it leaves",
  onPlace({ partitions: 4 }, async (place) => {
    const shares = async () => {
      const assigned = consumers.map((consumer) => consumer.metric("heartbeat_assigned_partitions"));
      return (await Promise.all(assigned)).join("+");
    };
    const consumers = [place.consumer()];
    await eventually("all partitions", async () => await shares() === "4");
    const sent = await place.publisher.send(readings("a", 40, 4));
    consumers.push(place.consumer());
    await eventually("half each", async () => await shares() === "2+2");
    sent.push(...await place.publisher.send(readings("b", 40, 4)));
    await place.untilCaughtUp();
    strictEqual(await consumers.pop()?.stop(), 0);
    await eventually("all partitions again", async () => await shares() === "4");
    sent.push(...await place.publisher.send(readings("c", 40, 4)));
    await place.untilCaughtUp();
    await judge(place, sent);
  }),
);

Deno.test(
  "a consumer reports all wrong settings at once, shows no secret, and exits with code 2",
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
  const [args, exitCode, message] of [
    [["--nonsense"], 2, /unknown option '--nonsense'/],
    [["--help"], 0, /Examples:[^]*--until-caught-up/],
  ] as const
) {
  Deno.test(`a consumer with ${args} needs no setting and exits with code ${exitCode}`, async () => {
    await using consumer = WorkerProcess.start("consumer", { args });
    strictEqual(await consumer.exitCode(), exitCode);
    match(consumer.output, message);
  });
}

for (
  const [what, change, message] of [
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
    `a consumer that starts with ${what} exits with code 1, says what to do, and shows no password`,
    onPlace({ partitions: 0 }, async (place) => {
      const { href } = Object.assign(new URL(place.databaseUrl), change);
      const consumer = place.consumer({ env: { DATABASE_URL: href } });
      strictEqual(await consumer.exitCode(), 1);
      match(consumer.output, message);
      doesNotMatch(consumer.output, /sesame/);
    }),
  );
}

for (
  const [server, env, reason] of [
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
    `a consumer waits for an unreachable ${server}, gives the reason in readiness, and exits with code 0 when it is stopped`,
    onPlace({ partitions: 0 }, async (place) => {
      const consumer = place.consumer({ env });
      await consumer.untilNotReady(reason);
      strictEqual((await consumer.get("/livez")).status, 200);
      strictEqual(await consumer.stop(), 0);
      doesNotMatch(consumer.output, /sesame/);
    }),
  );
}

Deno.test(
  "a consumer reads DATABASE_URL from a file, and names a health port that is already in use",
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
    doesNotMatch(consumer.output, /\n {4}at /, "a port in use is not a bug and needs no stack trace");
  }),
);
