import { strictEqual } from "node:assert";
import { EmptyAnswers } from "../../../workers/consumer/empty_answers.ts";

const SHARED = { alone: false, throttled: false };
const ALONE = { alone: true, throttled: false };
const HELD_BACK = { alone: true, throttled: true };

/** How many of these answers it takes until the log counts as empty; at most `most` are given. */
function untilProven(answers: EmptyAnswers, answer: typeof ALONE, most = 100): number {
  for (let given = 1; given <= most; given++) if (answers.add(answer)) return given;
  return Infinity;
}

Deno.test("EmptyAnswers believe a broker after twelve empty answers to the question alone", () => {
  strictEqual(untilProven(new EmptyAnswers(), ALONE), 12);
});

Deno.test("EmptyAnswers prove nothing while others are asked for too, or a quota holds records back", () => {
  for (const nothing of [SHARED, HELD_BACK, { alone: false, throttled: true }]) {
    const answers = new EmptyAnswers();
    strictEqual(untilProven(answers, nothing, 1_000), Infinity);
    strictEqual(untilProven(answers, ALONE), 12, "nothing of them counts later");
  }
});

Deno.test("EmptyAnswers count from the last record on", () => {
  const answers = new EmptyAnswers();
  strictEqual(untilProven(answers, ALONE, 11), Infinity);
  answers.forget();
  strictEqual(answers.areSuspicious, false);
  strictEqual(untilProven(answers, ALONE), 12);
});

Deno.test("EmptyAnswers have a partition asked for alone after two, and with the others again when a quota holds back", () => {
  const answers = new EmptyAnswers();
  answers.add(SHARED);
  strictEqual(answers.areSuspicious, false);
  answers.add(SHARED);
  strictEqual(answers.areSuspicious, true);
  answers.add(HELD_BACK);
  strictEqual(answers.areSuspicious, false);
});
