import { deepStrictEqual, strictEqual } from "node:assert";
import { HealthState, HELD } from "../../../../workers/consumer/health/health_state.ts";

let now = 0;
let progress: HealthState;

/** A consumer that is ready. */
function begin() {
  now = 1_000;
  progress = new HealthState(() => now);
  for (const subject of ["database", "kafka", "group"]) progress.ready(subject);
}
Deno.test.beforeEach(begin);

const pass = (seconds: number) => void (now += seconds * 1_000);
const live = (...reasons: string[]) => deepStrictEqual(progress.liveReasons(), reasons);
const ready = (...reasons: string[]) => deepStrictEqual(progress.readyReasons(), reasons);
function bothAnswer() {
  progress.answered("kafka");
  progress.answered("database");
}

/** A partition whose writes fail, at these seconds after each other, while another is committed each time. */
function failing(...pauses: readonly number[]) {
  const writer = { partition: 3 };
  for (const seconds of pauses) {
    pass(seconds);
    bothAnswer();
    progress.lag(5);
    progress.committed();
    progress.writeFailed(writer);
  }
  return writer;
}

Deno.test("liveReasons() are none while there is nothing to do, however long", () => {
  progress.lag(0);
  pass(3_600);
  bothAnswer();
  live();
  strictEqual(progress.isStuck(), false);
});

Deno.test("liveReasons() name the loop in which no attempt began or ended for 30 s, unless it waits for work", () => {
  progress.mark("topic");
  pass(30);
  live();
  pass(1);
  live("topic: no attempt began or ended for 31 s");
  progress.mark("topic");
  live();
  progress.idle("topic");
  pass(3_600);
  live();
});

Deno.test("liveReasons() watch a loop that hangs although another of its name began or ended", () => {
  const [closing, successor] = [{ partition: 3 }, { partition: 3 }];
  progress.mark(closing);
  progress.mark(successor);
  pass(20);
  progress.mark(closing);
  pass(11);
  live("write partition 3: no attempt began or ended for 31 s");
  progress.idle(closing);
  live("write partition 3: no attempt began or ended for 31 s");
  progress.idle(successor);
  live();
});

Deno.test("liveReasons() tell of lag without a commit for 30 s though both servers answer", () => {
  progress.committed();
  pass(100);
  progress.lag(5);
  pass(31);
  bothAnswer();
  live("writes: lag, and both servers answer, yet nothing was committed for 31 s");
  progress.committed();
  live();
});

Deno.test("liveReasons() are none while a database that answers says that it cannot write, for however long", () => {
  const writer = { partition: 3 };
  progress.lag(5);
  progress.databaseFailed(writer, "read-only", true);
  pass(3_600);
  bothAnswer();
  live();
  progress.databaseFailed(writer, "a trigger", false);
  live("writes: lag, and both servers answer, yet nothing was committed for 3600 s");
});

Deno.test("liveReasons() are none while a server is away, for as long as it is away", () => {
  for (const dependency of ["kafka", "database"] as const) {
    begin();
    progress.lag(5);
    pass(3_600);
    progress.answered(dependency);
    live();
  }
});

Deno.test("liveReasons() name the partition whose writes fail for 30 s although others are committed", () => {
  const writer = failing(0, 1, 4, 5, 5, 5, 5, 5);
  live();
  pass(1);
  progress.writeFailed(writer);
  live("writes: lag, and both servers answer, yet nothing was committed of partition 3 for 31 s");
  progress.databaseWorks(writer);
  live();
});

Deno.test("liveReasons() are none while a partition that failed now and then waits minutes for its turn", () => {
  for (const pauses of [[0, 0, 0, 0, 0, 0], [0, 120, 120, 120]]) {
    begin();
    failing(...pauses);
    pass(120);
    bothAnswer();
    progress.committed();
    live();
  }
});

Deno.test("liveReasons() count no failure of a partition while the database is away or can write nothing", () => {
  const away = () => {};
  const unable = () => {
    progress.answered("database");
    progress.databaseFailed({ partition: 0 }, "read-only", true);
  };
  for (const during of [away, unable]) {
    begin();
    const writer = failing(0, 1, 1, 1);
    pass(60);
    during();
    progress.writeFailed(writer);
    progress.databaseFailed(writer, "a trigger", false);
    bothAnswer();
    progress.writeFailed(writer);
    progress.committed();
    live();
  }
});

Deno.test("lag() counts from when there is some, not from the last commit before it", () => {
  progress.committed();
  pass(3_600);
  progress.lag(1);
  bothAnswer();
  live();
  pass(20);
  progress.lag(0);
  pass(20);
  progress.lag(1);
  pass(20);
  bothAnswer();
  live();
});

Deno.test("isStuck() after 30 s of red in one piece", () => {
  progress.mark("topic");
  pass(31);
  strictEqual(progress.isStuck(), false);
  pass(30);
  strictEqual(progress.isStuck(), false);
  progress.mark("topic");
  strictEqual(progress.isStuck(), false);
  pass(31);
  strictEqual(progress.isStuck(), false);
  pass(31);
  strictEqual(progress.isStuck(), true);
});

Deno.test("readyReasons() from the first moment are what is not there yet, each until its fact comes", () => {
  progress = new HealthState();
  const reasons = () => progress.readyReasons().map((reason) => reason.replace(/:.*/, ""));
  deepStrictEqual(reasons(), ["database", "kafka", "group"]);
  progress.ready("kafka");
  deepStrictEqual(reasons(), ["database", "group"]);
  progress.ready("database");
  progress.answered("kafka");
  progress.answered("database");
  progress.committed();
  ready("group: not joined yet");
  progress.ready("group");
  ready();
});

Deno.test("readyReasons() are told by subject until the subject is well again", () => {
  progress.notReady("kafka", "away");
  progress.notReady("database", "away");
  progress.notReady("kafka", "still away");
  ready("database: away", "kafka: still away");
  progress.ready("kafka");
  progress.ready("database");
  ready();
});

Deno.test("readyReasons() name the partitions for which the database does not work, until it does or they are closed", () => {
  const [one, two, other] = [{ partition: 1 }, { partition: 2 }, { partition: 3 }];
  progress.databaseFailed(one, "a trigger", false);
  progress.databaseFailed(two, "a trigger", false);
  progress.databaseFailed(other, "a right", false);
  ready("database: a trigger (partition 1, 2)", "database: a right (partition 3)");
  progress.databaseWorks(two);
  progress.closed(other);
  ready("database: a trigger (partition 1)");
  progress.databaseWorks(one);
  ready();
});

Deno.test("what keeps a partition from being read is its own: its successor of the same number stays not ready", () => {
  const [closing, successor] = [{ partition: 3 }, { partition: 3 }];
  strictEqual(progress.reasonOf(HELD), undefined);
  strictEqual(progress.notReady(HELD, "the log was cut", closing), true);
  strictEqual(progress.notReady(HELD, "the log was cut again", closing), false, "no news");
  progress.notReady("records", "damaged", successor);
  strictEqual(progress.ready("records", closing), false, "another's");
  strictEqual(progress.reasonOf(HELD), "offset of partition 3: the log was cut again");
  progress.closed(closing);
  strictEqual(progress.reasonOf(HELD), undefined);
  ready("records of partition 3: damaged");
});

Deno.test("upkeep that has failed for an hour is not ready until it is done", () => {
  strictEqual(progress.upkeepFailed("retention", "a lock"), true);
  pass(3_599);
  strictEqual(progress.upkeepFailed("retention", "a lock"), false, "no news");
  ready();
  pass(1);
  progress.upkeepFailed("retention", "another lock");
  ready("retention: failing for 60 minutes: another lock");
  progress.upkeepDone("retention");
  ready();
  strictEqual(progress.upkeepFailed("retention", "a lock"), true);
});

Deno.test("liveReasons() tell of a group that does not have us although Kafka answers, for longer than a join may take", () => {
  progress.member(false);
  pass(90);
  progress.answered("kafka");
  live();
  pass(1);
  live("group: Kafka answers, but this consumer is not a member for 91 s");
  pass(60);
  live();
  progress.member(true);
  progress.answered("kafka");
  live();
});
