import assert from "node:assert/strict";
import type { Place } from "../../lab/place.ts";
import { onPlace } from "../support/services.ts";
import { WorkerProcess } from "../../lab/worker_process.ts";

function scenarios(place: Place, args: readonly string[], env: Record<string, string> = {}) {
  return place.run("scenarios", args, env);
}

function failures(output: string): string[] {
  return output.split("\n").filter((line) => line.startsWith("FAIL "));
}

Deno.test(
  "every scenario has its expected outcome, even if the same run is repeated, and reconcile finds no difference",
  onPlace({ partitions: 3 }, async (place) => {
    await place.consumer().untilReady();
    for (const _ of ["the first time", "the same records again"]) {
      const { code, output } = await scenarios(place, ["--run", "night.1"]);
      assert.deepEqual(failures(output), []);
      assert.match(output, /^PASS: all 2\d\d records in 25 scenarios, run night\.1$/m);
      assert.equal(code, 0);
    }
    const rows = await place.sql<{ count: string }>(
      "select count(*) from public.heartbeats where customer_id not like 'scenario-night.1-%'",
    );
    assert.equal(rows[0]?.count, "6", "only integer customer ids do not contain the run");
    await using reconcile = WorkerProcess.start("reconcile", {
      env: {
        KAFKA_BOOTSTRAP_SERVERS: place.stack.kafkaBootstrapServers,
        KAFKA_TOPIC: place.topic,
        DATABASE_URL: place.databaseUrl,
      },
    });
    assert.equal(await reconcile.exitCode(), 0, reconcile.output);
  }),
);

Deno.test(
  "scenarios use the heart rate limits from the settings",
  onPlace({ partitions: 1 }, async (place) => {
    const limits = {
      HEART_RATE_MIN: "20",
      HEART_RATE_LOW: "20",
      HEART_RATE_HIGH: "99",
      HEART_RATE_MAX: "300",
      MAX_CLOCK_SKEW_SECONDS: "3600",
    };
    await place.consumer({ env: limits }).untilReady();
    const { code, output } = await scenarios(place, [], limits);
    assert.deepEqual(failures(output), []);
    assert.equal(code, 0);
  }),
);

Deno.test(
  "scenarios name the wrong rows of a consumer with other alarm limits",
  onPlace({ partitions: 2 }, async (place) => {
    await place.consumer({ env: { HEART_RATE_HIGH: "170" } }).untilReady();
    const { code, output } = await scenarios(place, ["--only", "boundaries", "--only", "high_anomaly"]);
    assert.equal(code, 1);
    assert.equal(failures(output).length, 1);
    assert.match(
      output,
      /FAIL: 1 of 5 .*\n +boundaries, at high, 180 .*: expected row 180 at .*, found row 180 high at /,
    );
  }),
);

Deno.test(
  "without a consumer, scenarios say which records were not read and what to do",
  onPlace({ partitions: 1 }, async (place) => {
    const never = await scenarios(place, ["--only", "normal", "--timeout", "1s"]);
    assert.equal(never.code, 1);
    assert.match(
      never.output,
      /not read within 1s: 4 records of topic .*\n +partition 0: not read: no ledger row/,
    );
    assert.match(never.output, /Start a consumer \(deno task consume\)/);

    await place.consumeAll();
    const gone = await scenarios(place, ["--only", "normal", "--timeout", "1s"]);
    assert.equal(gone.code, 1);
    assert.match(gone.output, /partition 0: not read: the ledger is at 4/);
  }),
);

Deno.test(
  "scenarios refuse wrong arguments and settings before they publish anything",
  onPlace({ partitions: 0 }, async (place) => {
    const list = await scenarios(place, ["--list"], { DATABASE_URL: "" });
    assert.equal(list.code, 0);
    assert.match(list.output, /^malformed +a value that is not a reading/m);
    const unknown = await scenarios(place, ["--only", "malformd"]);
    assert.equal(unknown.code, 2);
    assert.match(unknown.output, /--only: is "malformd", expected one of normal, .*, malformed, /);
    const missing = await scenarios(place, ["--only", "normal"]);
    assert.equal(missing.code, 1);
    assert.match(missing.output, /topic .* does not exist; create it, or start the producer/);
    const password = { DATABASE_URL: place.databaseUrl.replace(/:[^:@/]*@/, ":hush-hush@") };
    const refused = await scenarios(place, ["--only", "normal"], password);
    assert.equal(refused.code, 1);
    assert.match(refused.output, /password authentication failed .*check the user and the password/);
    assert.doesNotMatch(refused.output, /hush-hush/);
  }),
);
