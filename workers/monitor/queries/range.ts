import { MAX_RANGE_DAYS, type Range } from "../view/view.ts";

const DAY_MS = 86_400_000;
/** The years 0 to 9999: the page cannot show others. */
const [MIN_MS, MAX_MS] = [-62_167_219_200_000, 253_402_300_799_999];

/** @returns a sentence that says why no query accepts this range, or undefined */
export function rangeProblem({ from, to }: Range): string | undefined {
  if (![from, to].every((at) => at >= MIN_MS && at <= MAX_MS)) {
    return "The range is malformed, expected instants in the years 0 to 9999.";
  }
  if (from >= to) return "The range ends before it begins, expected a beginning before its end.";
  if (to - from <= MAX_RANGE_DAYS * DAY_MS) return undefined;
  return `The range has ${Math.ceil((to - from) / DAY_MS)} days, expected at most ${MAX_RANGE_DAYS}.`;
}
