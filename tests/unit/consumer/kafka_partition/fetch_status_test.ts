import { ok, strictEqual } from "node:assert";
import { FetchStatus } from "../../../../workers/consumer/kafka_partition/fetch_status.ts";

const END = 100;
const SHARED = { alone: false, throttled: false, possiblyTruncated: false, end: END };
const ALONE = { ...SHARED, alone: true };
const HELD_BACK = { ...ALONE, throttled: true };
const MINUTE = 60_000;

/** Answers over a time that the test makes pass. */
function emptyAnswers() {
  let now = 0;
  const answers = new FetchStatus(() => now);
  return {
    answers,
    /** @returns whether one of these answers, spread over so many minutes, was believed */
    add: (answer: typeof ALONE, times: number, minutes: number): boolean => {
      let believed = false;
      for (let given = 0; given < times; given++) {
        now += minutes * MINUTE / times;
        answers.explain();
        believed = answers.empty(answer, answer.end) || believed;
      }
      return believed;
    },
    pass: (minutes: number) => void (now += minutes * MINUTE),
  };
}

Deno.test("EmptyAnswers believe a broker after many empty answers to the question alone, over minutes", () => {
  strictEqual(emptyAnswers().add(ALONE, 100, 4), true);
  strictEqual(emptyAnswers().add(ALONE, 10_000, 2), false, "many in a short time");
  strictEqual(emptyAnswers().add(ALONE, 12, 60), false, "few in a long time");
});

Deno.test("EmptyAnswers prove nothing while others are asked for too, or a quota holds records back", () => {
  for (const nothing of [SHARED, HELD_BACK, { ...SHARED, throttled: true }]) {
    const { add } = emptyAnswers();
    strictEqual(add(nothing, 1_000, 60), false);
    strictEqual(add(ALONE, 100, 2), false, "nothing of them counts later");
  }
});

Deno.test("EmptyAnswers prove nothing while the topic's settings are not known, or were read long ago", () => {
  const { answers, add, pass } = emptyAnswers();
  add(ALONE, 100, 2);
  pass(2);
  strictEqual(answers.isProvenEmpty, true);
  strictEqual(answers.empty(ALONE, END), false);
  answers.explain();
  strictEqual(answers.empty(ALONE, END), true);
});

Deno.test("EmptyAnswers count from the last record on, and anew when the log grew", () => {
  const { answers, add } = emptyAnswers();
  strictEqual(add(ALONE, 100, 2), false);
  answers.moved();
  strictEqual(answers.needsIsolatedFetch, false);
  strictEqual(answers.isBrokerSilent, false);
  strictEqual(add(ALONE, 100, 2), false);
  strictEqual(add({ ...ALONE, end: END + 1 }, 100, 2), false);
  strictEqual(add({ ...ALONE, end: END + 1 }, 100, 2), true);
});

Deno.test("EmptyAnswers have a partition asked for alone after two, and with the others again when a quota holds back", () => {
  const { answers } = emptyAnswers();
  answers.empty(SHARED, END);
  strictEqual(answers.needsIsolatedFetch, false);
  answers.empty(SHARED, END);
  strictEqual(answers.needsIsolatedFetch, true);
  strictEqual(answers.pauseMs, 0, "the question alone follows at once");
  answers.empty(ALONE, END);
  ok(answers.pauseMs > 0, "the next one does not");
  answers.empty(HELD_BACK, END);
  strictEqual(answers.needsIsolatedFetch, false);
});
