import { deepStrictEqual, strictEqual } from "node:assert";
import { Progress } from "../../../../workers/consumer/health/progress.ts";

function watched() {
  let now = 1_000;
  const progress = new Progress(() => now);
  for (const subject of ["database", "kafka", "group"]) progress.ready(subject);
  const bothAnswer = () => {
    progress.answered("kafka");
    progress.answered("database");
  };
  return { progress, bothAnswer, pass: (seconds: number) => void (now += seconds * 1_000) };
}

/** A partition whose writes fail, at these seconds after each other, while another is committed each time. */
function failing({ progress, bothAnswer, pass }: ReturnType<typeof watched>, pauses: readonly number[]) {
  const writer = { name: "write partition 3", partition: 3 };
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
  const { progress, bothAnswer, pass } = watched();
  progress.lag(0);
  pass(3_600);
  bothAnswer();
  deepStrictEqual(progress.liveReasons(), []);
  strictEqual(progress.isStuck(), false);
});

Deno.test("liveReasons() name the loop in which no attempt began or ended for 30 s", () => {
  const { progress, pass } = watched();
  progress.mark("write partition 3");
  pass(30);
  deepStrictEqual(progress.liveReasons(), []);
  pass(1);
  deepStrictEqual(progress.liveReasons(), ["write partition 3: no attempt began or ended for 31 s"]);
  progress.mark("write partition 3");
  deepStrictEqual(progress.liveReasons(), []);
});

Deno.test("liveReasons() do not watch a loop that waits for work", () => {
  const { progress, pass } = watched();
  progress.mark("write partition 3");
  progress.idle("write partition 3");
  pass(3_600);
  deepStrictEqual(progress.liveReasons(), []);
});

Deno.test("liveReasons() watch a loop that hangs although another of its name began or ended", () => {
  const { progress, pass } = watched();
  const closing = { name: "write partition 3" };
  const successor = { name: "write partition 3" };
  progress.mark(closing);
  progress.mark(successor);
  pass(20);
  progress.mark(closing);
  pass(11);
  deepStrictEqual(progress.liveReasons(), ["write partition 3: no attempt began or ended for 31 s"]);
  progress.idle(closing);
  deepStrictEqual(progress.liveReasons(), ["write partition 3: no attempt began or ended for 31 s"]);
  progress.idle(successor);
  deepStrictEqual(progress.liveReasons(), []);
});

Deno.test("liveReasons() tell of lag without a commit for 30 s though both servers answer", () => {
  const { progress, bothAnswer, pass } = watched();
  progress.committed();
  pass(100);
  progress.lag(5);
  pass(31);
  bothAnswer();
  deepStrictEqual(progress.liveReasons(), [
    "writes: lag, and both servers answer, yet nothing was committed for 31 s",
  ]);
  progress.committed();
  deepStrictEqual(progress.liveReasons(), []);
});

Deno.test("liveReasons() are none while a database that answers says that it cannot write, for however long", () => {
  const { progress, bothAnswer, pass } = watched();
  progress.lag(5);
  progress.databaseRefuses(true);
  pass(3_600);
  bothAnswer();
  deepStrictEqual(progress.liveReasons(), []);
  progress.databaseRefuses(false);
  deepStrictEqual(progress.liveReasons(), [
    "writes: lag, and both servers answer, yet nothing was committed for 3600 s",
  ]);
});

Deno.test("liveReasons() are none while a server is away, for as long as it is away", () => {
  for (const dependency of ["kafka", "database"] as const) {
    const { progress, pass } = watched();
    progress.lag(5);
    pass(3_600);
    progress.answered(dependency);
    deepStrictEqual(progress.liveReasons(), [], `only ${dependency} answers`);
  }
});

Deno.test("liveReasons() name the partition whose writes fail for 30 s although others are committed", () => {
  const world = watched();
  const writer = failing(world, [0, 1, 4, 5, 5, 5, 5, 5]);
  deepStrictEqual(world.progress.liveReasons(), []);
  world.pass(1);
  world.progress.writeFailed(writer);
  deepStrictEqual(world.progress.liveReasons(), [
    "writes: lag, and both servers answer, yet nothing was committed of partition 3 for 31 s",
  ]);
  world.progress.databaseWorks(writer);
  deepStrictEqual(world.progress.liveReasons(), []);
});

Deno.test("liveReasons() are none while a partition that failed now and then waits minutes for its turn", () => {
  for (const pauses of [[0, 0, 0, 0, 0, 0], [0, 120, 120, 120]]) {
    const world = watched();
    failing(world, pauses);
    world.pass(120);
    world.bothAnswer();
    world.progress.committed();
    deepStrictEqual(world.progress.liveReasons(), [], `failed after ${pauses.join(", ")} s`);
  }
});

Deno.test("liveReasons() count no failure of a partition while the database is away or can write nothing", () => {
  const away = (progress: Progress) => progress.databaseRefuses(false);
  const unable = (progress: Progress) => {
    progress.answered("database");
    progress.databaseRefuses(true);
  };
  for (const during of [away, unable]) {
    const world = watched();
    const writer = failing(world, [0, 1, 1, 1]);
    world.pass(60);
    during(world.progress);
    world.progress.writeFailed(writer);
    world.progress.databaseRefuses(false);
    world.bothAnswer();
    world.progress.writeFailed(writer);
    world.progress.committed();
    deepStrictEqual(world.progress.liveReasons(), []);
  }
});

Deno.test("lag() counts from when there is some, not from the last commit before it", () => {
  const { progress, bothAnswer, pass } = watched();
  progress.committed();
  pass(3_600);
  progress.lag(1);
  bothAnswer();
  deepStrictEqual(progress.liveReasons(), []);
  pass(20);
  progress.lag(0);
  pass(20);
  progress.lag(1);
  pass(20);
  bothAnswer();
  deepStrictEqual(progress.liveReasons(), []);
});

Deno.test("isStuck() after 30 s of red in one piece", () => {
  const { progress, pass } = watched();
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
  const progress = new Progress();
  const reasons = () => progress.readyReasons().map((reason) => reason.replace(/:.*/, ""));
  deepStrictEqual(reasons(), ["database", "kafka", "group"]);
  progress.ready("kafka");
  deepStrictEqual(reasons(), ["database", "group"]);
  progress.ready("database");
  progress.answered("kafka");
  progress.answered("database");
  progress.committed();
  deepStrictEqual(progress.readyReasons(), ["group: not joined yet"]);
  progress.ready("group");
  deepStrictEqual(progress.readyReasons(), []);
});

Deno.test("readyReasons() are told by subject until the subject is well again", () => {
  const { progress } = watched();
  progress.notReady("kafka", "away");
  progress.notReady("database", "away");
  progress.notReady("kafka", "still away");
  deepStrictEqual(progress.readyReasons(), ["kafka: still away", "database: away"]);
  progress.ready("kafka");
  progress.ready("database");
  deepStrictEqual(progress.readyReasons(), []);
});

Deno.test("readyReasons() name the partitions for which the database does not work, until it does or they are closed", () => {
  const { progress } = watched();
  const [one, two, other] = [1, 2, 3].map((partition) => ({ name: "write", partition }));
  if (one === undefined || two === undefined || other === undefined) throw new TypeError("three");
  progress.databaseFailed(one, "a trigger");
  progress.databaseFailed(two, "a trigger");
  progress.databaseFailed(other, "a right");
  deepStrictEqual(progress.readyReasons(), [
    "database: a trigger (partition 1, 2)",
    "database: a right (partition 3)",
  ]);
  progress.databaseWorks(two);
  progress.closed(other);
  deepStrictEqual(progress.readyReasons(), ["database: a trigger (partition 1)"]);
  progress.databaseWorks(one);
  deepStrictEqual(progress.readyReasons(), []);
});

Deno.test("liveReasons() tell of a group that does not have us although Kafka answers, for longer than a join may take", () => {
  const { progress, pass } = watched();
  progress.outside();
  pass(90);
  progress.answered("kafka");
  deepStrictEqual(progress.liveReasons(), []);
  pass(1);
  deepStrictEqual(progress.liveReasons(), ["group: Kafka answers, yet we are no member for 91 s"]);
  pass(60);
  deepStrictEqual(progress.liveReasons(), [], "Kafka is away: then waiting is right");
  progress.joined();
  progress.answered("kafka");
  deepStrictEqual(progress.liveReasons(), []);
});
