import { deepStrictEqual, strictEqual } from "node:assert";
import { Progress } from "../../../workers/consumer/progress.ts";

function watched() {
  let now = 1_000;
  const progress = new Progress(() => now);
  const bothAnswer = () => {
    progress.answered("kafka");
    progress.answered("database");
  };
  return { progress, bothAnswer, pass: (seconds: number) => void (now += seconds * 1_000) };
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
