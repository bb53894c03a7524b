import { deepStrictEqual, strictEqual } from "node:assert";
import { HealthState, HELD } from "../../../../workers/consumer/health/health_state.ts";

let now = 0;
let healthState: HealthState;

/** Creates the health state of a consumer that is ready. */
function begin() {
  now = 1_000;
  healthState = new HealthState(() => now);
  for (const subject of ["database", "kafka", "group"]) healthState.ready(subject);
}
Deno.test.beforeEach(begin);

const pass = (seconds: number) => void (now += seconds * 1_000);
const live = (...reasons: string[]) => deepStrictEqual(healthState.liveReasons(), reasons);
const ready = (...reasons: string[]) => deepStrictEqual(healthState.readyReasons(), reasons);
function bothAnswer() {
  healthState.answered("kafka");
  healthState.answered("database");
}

/** Fails a write of partition 3 after each of these pauses in seconds, while another partition commits. */
function failing(...pauses: readonly number[]) {
  const writer = { partition: 3 };
  for (const seconds of pauses) {
    pass(seconds);
    bothAnswer();
    healthState.lag(5);
    healthState.committed();
    healthState.writeFailed(writer);
  }
  return writer;
}

Deno.test("liveReasons() is empty while there is no lag", () => {
  healthState.lag(0);
  pass(3_600);
  bothAnswer();
  live();
  strictEqual(healthState.isStuck(), false);
});

Deno.test("liveReasons() names a loop in which no attempt began or ended for 30 s, unless the loop is idle", () => {
  healthState.mark("topic");
  pass(30);
  live();
  pass(1);
  live("topic: no attempt began or ended for 31 s");
  healthState.mark("topic");
  live();
  healthState.idle("topic");
  pass(3_600);
  live();
});

Deno.test("liveReasons() names a hanging loop even if another loop of the same partition makes progress", () => {
  const [closing, successor] = [{ partition: 3 }, { partition: 3 }];
  healthState.mark(closing);
  healthState.mark(successor);
  pass(20);
  healthState.mark(closing);
  pass(11);
  live("write partition 3: no attempt began or ended for 31 s");
  healthState.idle(closing);
  live("write partition 3: no attempt began or ended for 31 s");
  healthState.idle(successor);
  live();
});

Deno.test("liveReasons() reports lag without a commit for 30 s while both servers answer", () => {
  healthState.committed();
  pass(100);
  healthState.lag(5);
  pass(31);
  bothAnswer();
  live("writes: lag, and both servers answer, yet nothing was committed for 31 s");
  healthState.committed();
  live();
});

Deno.test("liveReasons() is empty while the database reports that it cannot write", () => {
  const writer = { partition: 3 };
  healthState.lag(5);
  healthState.databaseFailed(writer, "read-only", true);
  pass(3_600);
  bothAnswer();
  live();
  healthState.databaseFailed(writer, "a trigger", false);
  live("writes: lag, and both servers answer, yet nothing was committed for 3600 s");
});

Deno.test("liveReasons() is empty while a server does not answer", () => {
  for (const dependency of ["kafka", "database"] as const) {
    begin();
    healthState.lag(5);
    pass(3_600);
    healthState.answered(dependency);
    live();
  }
});

Deno.test("liveReasons() names a partition whose writes fail for 30 s, even if other partitions commit", () => {
  const writer = failing(0, 1, 4, 5, 5, 5, 5, 5);
  live();
  pass(1);
  healthState.writeFailed(writer);
  live("writes: lag, and both servers answer, yet nothing was committed of partition 3 for 31 s");
  healthState.databaseWorks(writer);
  live();
});

Deno.test("liveReasons() is empty while a partition with occasional failures waits minutes for its next write", () => {
  for (const pauses of [[0, 0, 0, 0, 0, 0], [0, 120, 120, 120]]) {
    begin();
    failing(...pauses);
    pass(120);
    bothAnswer();
    healthState.committed();
    live();
  }
});

Deno.test("liveReasons() ignores failed writes of a partition while the database is unavailable or cannot write", () => {
  const unavailable = () => {};
  const readOnly = () => {
    healthState.answered("database");
    healthState.databaseFailed({ partition: 0 }, "read-only", true);
  };
  for (const happensMeanwhile of [unavailable, readOnly]) {
    begin();
    const writer = failing(0, 1, 1, 1);
    pass(60);
    happensMeanwhile();
    healthState.writeFailed(writer);
    healthState.databaseFailed(writer, "a trigger", false);
    bothAnswer();
    healthState.writeFailed(writer);
    healthState.committed();
    live();
  }
});

Deno.test("lag() counts the 30 s from the time when lag appears, not from the last commit", () => {
  healthState.committed();
  pass(3_600);
  healthState.lag(1);
  bothAnswer();
  live();
  pass(20);
  healthState.lag(0);
  pass(20);
  healthState.lag(1);
  pass(20);
  bothAnswer();
  live();
});

Deno.test("isStuck() returns true after liveness has failed for 30 s without interruption", () => {
  healthState.mark("topic");
  pass(31);
  strictEqual(healthState.isStuck(), false);
  pass(30);
  strictEqual(healthState.isStuck(), false);
  healthState.mark("topic");
  strictEqual(healthState.isStuck(), false);
  pass(31);
  strictEqual(healthState.isStuck(), false);
  pass(31);
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
  ready("group: not joined yet");
  healthState.ready("group");
  ready();
});

Deno.test("readyReasons() gives the latest reason for each subject until the subject is ready again", () => {
  healthState.notReady("kafka", "unavailable");
  healthState.notReady("database", "unavailable");
  healthState.notReady("kafka", "still unavailable");
  ready("database: unavailable", "kafka: still unavailable");
  healthState.ready("kafka");
  healthState.ready("database");
  ready();
});

Deno.test("readyReasons() names the partitions whose writes fail, until they succeed or the partitions are closed", () => {
  const [first, second, other] = [{ partition: 1 }, { partition: 2 }, { partition: 3 }];
  healthState.databaseFailed(first, "a trigger", false);
  healthState.databaseFailed(second, "a trigger", false);
  healthState.databaseFailed(other, "a right", false);
  ready("database: a trigger (partition 1, 2)", "database: a right (partition 3)");
  healthState.databaseWorks(second);
  healthState.closed(other);
  ready("database: a trigger (partition 1)");
  healthState.databaseWorks(first);
  ready();
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
  ready("records of partition 3: damaged");
});

Deno.test("readyReasons() names retention after it has failed for an hour, until it succeeds", () => {
  strictEqual(healthState.upkeepFailed("retention", "a lock"), true);
  pass(3_599);
  strictEqual(healthState.upkeepFailed("retention", "a lock"), false, "no change");
  ready();
  pass(1);
  healthState.upkeepFailed("retention", "another lock");
  ready("retention: failing for 60 minutes: another lock");
  healthState.upkeepDone("retention");
  ready();
  strictEqual(healthState.upkeepFailed("retention", "a lock"), true);
});

Deno.test("liveReasons() reports a consumer that is not a member of its group for 90 s while Kafka answers", () => {
  healthState.member(false);
  pass(90);
  healthState.answered("kafka");
  live();
  pass(1);
  live("group: Kafka answers, but this consumer is not a member for 91 s");
  pass(60);
  live();
  healthState.member(true);
  healthState.answered("kafka");
  live();
});
