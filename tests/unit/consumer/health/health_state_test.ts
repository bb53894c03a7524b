import { deepStrictEqual, strictEqual } from "node:assert";
import { HealthState, HELD } from "../../../../workers/consumer/health/health_state.ts";

let now = 0;
let healthState: HealthState;

/** Creates the health state of a consumer that is ready. */
function start() {
  now = 1_000;
  healthState = new HealthState(() => now);
  for (const subject of ["database", "kafka", "group"]) healthState.ready(subject);
}
Deno.test.beforeEach(start);

const advance = (seconds: number) => void (now += seconds * 1_000);
const assertLiveReasons = (...reasons: string[]) => deepStrictEqual(healthState.liveReasons(), reasons);
const assertReadyReasons = (...reasons: string[]) => deepStrictEqual(healthState.readyReasons(), reasons);
function bothAnswer() {
  healthState.answered("kafka");
  healthState.answered("database");
}

/** Fails a write of partition 3 after each of these pauses in seconds, while another partition commits. */
function failWrites(...pauses: readonly number[]) {
  const writer = { partition: 3 };
  for (const seconds of pauses) {
    advance(seconds);
    bothAnswer();
    healthState.lag(5);
    healthState.committed();
    healthState.writeFailed(writer);
  }
  return writer;
}

Deno.test("liveReasons() is empty while there is no lag", () => {
  healthState.lag(0);
  advance(3_600);
  bothAnswer();
  assertLiveReasons();
  strictEqual(healthState.isStuck(), false);
});

Deno.test("liveReasons() names a loop in which no attempt began or ended for 30 s, unless the loop is idle", () => {
  healthState.mark("topic");
  advance(30);
  assertLiveReasons();
  advance(1);
  assertLiveReasons("topic: no attempt began or ended for 31 s");
  healthState.mark("topic");
  assertLiveReasons();
  healthState.idle("topic");
  advance(3_600);
  assertLiveReasons();
});

Deno.test("liveReasons() names a hanging loop even if another loop of the same partition makes progress", () => {
  const [closing, successor] = [{ partition: 3 }, { partition: 3 }];
  healthState.mark(closing);
  healthState.mark(successor);
  advance(20);
  healthState.mark(closing);
  advance(11);
  assertLiveReasons("write partition 3: no attempt began or ended for 31 s");
  healthState.idle(closing);
  assertLiveReasons("write partition 3: no attempt began or ended for 31 s");
  healthState.idle(successor);
  assertLiveReasons();
});

Deno.test("liveReasons() reports lag without a commit for 30 s while both servers answer", () => {
  healthState.committed();
  advance(100);
  healthState.lag(5);
  advance(31);
  bothAnswer();
  assertLiveReasons("writes: lag, and both servers answer, yet nothing was committed for 31 s");
  healthState.committed();
  assertLiveReasons();
});

Deno.test("liveReasons() is empty while the database reports that it cannot write", () => {
  const writer = { partition: 3 };
  healthState.lag(5);
  healthState.databaseFailed(writer, "read-only", true);
  advance(3_600);
  bothAnswer();
  assertLiveReasons();
  healthState.databaseFailed(writer, "a trigger", false);
  assertLiveReasons("writes: lag, and both servers answer, yet nothing was committed for 3600 s");
});

Deno.test("liveReasons() is empty while a server does not answer", () => {
  for (const dependency of ["kafka", "database"] as const) {
    start();
    healthState.lag(5);
    advance(3_600);
    healthState.answered(dependency);
    assertLiveReasons();
  }
});

Deno.test("liveReasons() names a partition whose writes fail for 30 s, even if other partitions commit", () => {
  const writer = failWrites(0, 1, 4, 5, 5, 5, 5, 5);
  assertLiveReasons();
  advance(1);
  healthState.writeFailed(writer);
  assertLiveReasons(
    "writes: lag, and both servers answer, yet nothing was committed of partition 3 for 31 s",
  );
  healthState.databaseWorks(writer);
  assertLiveReasons();
});

Deno.test("liveReasons() is empty while a partition with occasional failures waits minutes for its next write", () => {
  for (const pauses of [[0, 0, 0, 0, 0, 0], [0, 120, 120, 120]]) {
    start();
    failWrites(...pauses);
    advance(120);
    bothAnswer();
    healthState.committed();
    assertLiveReasons();
  }
});

Deno.test("liveReasons() ignores failed writes of a partition while the database is unavailable or cannot write", () => {
  const unavailable = () => {};
  const readOnly = () => {
    healthState.answered("database");
    healthState.databaseFailed({ partition: 0 }, "read-only", true);
  };
  for (const happensMeanwhile of [unavailable, readOnly]) {
    start();
    const writer = failWrites(0, 1, 1, 1);
    advance(60);
    happensMeanwhile();
    healthState.writeFailed(writer);
    healthState.databaseFailed(writer, "a trigger", false);
    bothAnswer();
    healthState.writeFailed(writer);
    healthState.committed();
    assertLiveReasons();
  }
});

Deno.test("lag() counts the 30 s from the time when lag appears, not from the last commit", () => {
  healthState.committed();
  advance(3_600);
  healthState.lag(1);
  bothAnswer();
  assertLiveReasons();
  advance(20);
  healthState.lag(0);
  advance(20);
  healthState.lag(1);
  advance(20);
  bothAnswer();
  assertLiveReasons();
});

Deno.test("isStuck() returns true after liveness has failed for 30 s without interruption", () => {
  healthState.mark("topic");
  advance(31);
  strictEqual(healthState.isStuck(), false);
  advance(30);
  strictEqual(healthState.isStuck(), false);
  healthState.mark("topic");
  strictEqual(healthState.isStuck(), false);
  advance(31);
  strictEqual(healthState.isStuck(), false);
  advance(31);
  strictEqual(healthState.isStuck(), true);
});

Deno.test("readyReasons() names everything that is missing from the start on", () => {
  healthState = new HealthState();
  const reasons = () => healthState.readyReasons().map((reason) => reason.replace(/:.*/, ""));
  deepStrictEqual(reasons(), ["database", "kafka", "group"]);
  healthState.ready("kafka");
  deepStrictEqual(reasons(), ["database", "group"]);
  healthState.ready("database");
  healthState.answered("kafka");
  healthState.answered("database");
  healthState.committed();
  assertReadyReasons("group: not joined yet");
  healthState.ready("group");
  assertReadyReasons();
});

Deno.test("readyReasons() gives the latest reason for each subject until the subject is ready again", () => {
  healthState.notReady("kafka", "unavailable");
  healthState.notReady("database", "unavailable");
  healthState.notReady("kafka", "still unavailable");
  assertReadyReasons("database: unavailable", "kafka: still unavailable");
  healthState.ready("kafka");
  healthState.ready("database");
  assertReadyReasons();
});

Deno.test("readyReasons() names the partitions whose writes fail, until they succeed or the partitions are closed", () => {
  const [first, second, other] = [{ partition: 1 }, { partition: 2 }, { partition: 3 }];
  healthState.databaseFailed(first, "a trigger", false);
  healthState.databaseFailed(second, "a trigger", false);
  healthState.databaseFailed(other, "a right", false);
  assertReadyReasons("database: a trigger (partition 1, 2)", "database: a right (partition 3)");
  healthState.databaseWorks(second);
  healthState.closed(other);
  assertReadyReasons("database: a trigger (partition 1)");
  healthState.databaseWorks(first);
  assertReadyReasons();
});

Deno.test("a reason not to read a partition ends with the assignment, and does not affect the partition's next assignment", () => {
  const [closing, successor] = [{ partition: 3 }, { partition: 3 }];
  strictEqual(healthState.reasonOf(HELD), undefined);
  strictEqual(healthState.notReady(HELD, "the log was cut", closing), true);
  strictEqual(healthState.notReady(HELD, "the log was cut again", closing), false, "no change");
  healthState.notReady("records", "damaged", successor);
  strictEqual(healthState.ready("records", closing), false, "the reason of another assignment");
  strictEqual(healthState.reasonOf(HELD), "offset of partition 3: the log was cut again");
  healthState.closed(closing);
  strictEqual(healthState.reasonOf(HELD), undefined);
  assertReadyReasons("records of partition 3: damaged");
});

Deno.test("readyReasons() names retention after it has failed for an hour, until it succeeds", () => {
  strictEqual(healthState.upkeepFailed("retention", "a lock"), true);
  advance(3_599);
  strictEqual(healthState.upkeepFailed("retention", "a lock"), false, "no change");
  assertReadyReasons();
  advance(1);
  healthState.upkeepFailed("retention", "another lock");
  assertReadyReasons("retention: failing for 60 minutes: another lock");
  healthState.upkeepDone("retention");
  assertReadyReasons();
  strictEqual(healthState.upkeepFailed("retention", "a lock"), true);
});

Deno.test("liveReasons() reports a consumer that is not a member of its group for 90 s while Kafka answers", () => {
  healthState.member(false);
  advance(90);
  healthState.answered("kafka");
  assertLiveReasons();
  advance(1);
  assertLiveReasons("group: Kafka answers, but this consumer is not a member for 91 s");
  advance(60);
  assertLiveReasons();
  healthState.member(true);
  healthState.answered("kafka");
  assertLiveReasons();
});
