import { deepStrictEqual, match, strictEqual } from "node:assert";
import { Registry } from "prom-client";
import { type ErrorCode, PipelineError } from "../../../../workers/_shared/errors.ts";
import { HealthState } from "../../../../workers/consumer/health/health_state.ts";
import {
  type ConsumerTelemetry,
  consumerTelemetry,
} from "../../../../workers/consumer/telemetry/telemetry.ts";

const failure = (code: ErrorCode) => new PipelineError(code, "it is unavailable", { retriable: true });
const KAFKA = failure("kafka_unavailable");
const DATABASE = failure("database_unavailable");
const ASSIGNED = { partition: 3 };

/** Creates a consumer that was ready. `events` are its log events above debug. */
function begin() {
  const events: string[] = [];
  const record = (event: string) => void events.push(event);
  const metrics = new Registry();
  const healthState = new HealthState();
  for (const subject of ["database", "kafka", "group"]) healthState.ready(subject);
  const log = { debug: () => {}, info: record, warning: record, error: record };
  return {
    events,
    metrics,
    healthState,
    facts: consumerTelemetry({ log, metrics }, healthState, { debug: false }),
  };
}

type Fact = (facts: ConsumerTelemetry) => void;
const ENDED: readonly (readonly [subject: string, bad: Fact, good: Fact, events: readonly string[]])[] = [
  ["topic", (t) => t.topicMissing("t"), (t) => t.topicFound("t", "i", 1), ["topic.missing", "topic.found"]],
  ["kafka", (t) => t.topicFailed(KAFKA), (t) => t.topicMissing("t"), [
    "kafka.failed",
    "kafka.recovered",
    "topic.missing",
  ]],
  ["group", (t) => t.groupFailed(KAFKA), (t) => t.groupAnswered(), ["group.failed", "group.recovered"]],
  ["broker 1", (t) => t.fetchFailed(1, KAFKA, [3]), (t) => t.fetched(1), ["kafka.failed", "kafka.recovered"]],
  ["broker 1", (t) => t.metadataStale(1, "NOT_LEADER"), (t) => t.brokerIdle(1), []],
  ["leaders", (t) => t.leadersMissing("t", [3]), (t) => t.leadersMissing("t", []), [
    "partitions.leaderless",
    "partitions.led",
  ]],
  ["database", (t) => t.databaseFailed(DATABASE), (t) => t.migrated([]), [
    "database.failed",
    "database.recovered",
    "schema.migrated",
  ]],
  ["database", (t) => t.databaseSilent(DATABASE), (t) => t.databaseAnswered(0), []],
  ["database", (t) => t.openFailed(ASSIGNED, DATABASE, 1), (t) => t.partitionOpened(ASSIGNED, 0, true), [
    "database.failed",
    "database.recovered",
    "partition.opened",
  ]],
  ["database", (t) => t.writeFailed(ASSIGNED, DATABASE, 1), (t) => t.batchStale(ASSIGNED, 0, 1), [
    "database.failed",
    "database.recovered",
    "batch.stale",
  ]],
  ["offset of partition 3", (t) => t.partitionHeld(ASSIGNED, "cut"), (t) => t.partitionClosed(ASSIGNED), [
    "partition.held",
  ]],
  ["log of partition 3", (t) => t.partitionSilent(ASSIGNED, "empty"), (t) => t.partitionHeard(ASSIGNED), [
    "partition.silent",
    "partition.heard",
  ]],
  [
    "records of partition 3",
    (t) => t.batchCorrupt(ASSIGNED, KAFKA, 1),
    (t) => t.batchReadable(ASSIGNED),
    ["partition.unreadable", "partition.readable"],
  ],
];

const nameOf = (fact: Fact) => /\.(\w+)/.exec(String(fact))?.[1];

for (const [subject, bad, good, expected] of ENDED) {
  Deno.test(`${nameOf(bad)}() and ${nameOf(good)}() change the readiness of "${subject}" and log only changes`, () => {
    const { events, healthState, facts } = begin();
    bad(facts);
    bad(facts);
    deepStrictEqual(healthState.readyReasons().map((reason) => reason.replace(/: .*/, "")), [subject]);
    good(facts);
    deepStrictEqual(healthState.readyReasons().filter((reason) => reason.startsWith(subject)), []);
    deepStrictEqual(events, expected);
  });
}

Deno.test("a partition counts as paused while its writes fail or while it is held", async () => {
  const { metrics, facts } = begin();
  const other = { partition: 4 };
  facts.writeFailed(ASSIGNED, DATABASE, 1);
  facts.partitionHeld(other, "cut");
  facts.batchCorrupt({ partition: 5 }, KAFKA, 1);
  facts.positions([], 0);
  const shown = await metrics.metrics();
  match(shown, /^heartbeat_paused_partitions 2$/m);
  match(shown, /^heartbeat_retries_total\{dependency="database"\} 1$/m);
  facts.partitionClosed(other);
  facts.batchStale(ASSIGNED, 0, 1);
  facts.positions([], 0);
  match(await metrics.metrics(), /^heartbeat_paused_partitions 0$/m);
});

Deno.test("a database outage is logged again for a newly failing partition, and ends when its last partition is written or closed", () => {
  const { events, facts } = begin();
  const [first, second, third] = [{ partition: 1 }, { partition: 2 }, { partition: 3 }];
  facts.writeFailed(first, DATABASE, 1);
  facts.writeFailed(second, DATABASE, 1);
  facts.batchStale(second, 0, 1);
  facts.writeFailed(first, DATABASE, 2);
  facts.writeFailed(third, DATABASE, 1);
  facts.partitionClosed(third);
  facts.batchStale(first, 0, 1);
  const ofDatabase = events.filter((event) => event.startsWith("database."));
  deepStrictEqual(ofDatabase, ["database.failed", "database.failed", "database.recovered"]);
  strictEqual(events.length, 5);
});
