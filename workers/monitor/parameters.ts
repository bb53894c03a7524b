/** The query parameters of the pages and streams. A wrong one is a sentence for the viewer. */
import type { z } from "zod";
import { choice, optional, parseSettings, setting, type Settings, text } from "../_shared/env.ts";
import { UsageError } from "../_shared/errors.ts";
import { CUSTOMER_ID_EXPECTED, isCustomerId, REJECT_REASONS } from "../_shared/record/heartbeat.ts";
import { parseInstant } from "../_shared/record/instant.ts";
import { MAX_RANGE_DAYS, type Preset, PRESETS, type Range } from "./view/view.ts";

const DAY_MS = 86_400_000;
/** The years 0 to 9999: the page cannot show others. */
const [MIN_MS, MAX_MS] = [-62_167_219_200_000, 253_402_300_799_999];
const INSTANT = { expected: "an instant such as 2026-01-31T08:00:00Z, or milliseconds since 1970" };
const CUSTOMER = setting(
  { expected: `a customer's id: ${CUSTOMER_ID_EXPECTED}` },
  (text) => isCustomerId(text) ? text : undefined,
);
const RANGE = { from: optional(setting(INSTANT, parseMs)), to: optional(setting(INSTANT, parseMs)) };
const RECORD = text({ expected: "the value of a link to a reject", pattern: /^\d{1,18}-\d{1,18}$/ });

export const CUSTOMER_PARAMETERS = {
  id: CUSTOMER,
  ...RANGE,
  last: optional(choice(Object.keys(PRESETS) as Preset[])),
};
export const REJECT_PARAMETERS = {
  ...RANGE,
  reason: optional(choice(REJECT_REASONS)),
  customer: optional(CUSTOMER),
  record: optional(RECORD),
  before: optional(text({
    expected: "the value of a link to earlier rejects",
    // Microseconds since 1970, ledger row and offset. PostgreSQL has no later instant than this number of digits allows.
    pattern: /^\d{1,17}-\d{1,18}-\d{1,18}$/,
  })),
};
export const SEARCH_PARAMETERS = { prefix: CUSTOMER };

/** @throws UsageError with a line for each wrong parameter */
export function readParameters<S extends Record<string, z.ZodType>>(
  shape: S,
  query: Readonly<Record<string, string>>,
): Settings<S> {
  return parseSettings("page", shape, query);
}

/** A range that was chosen: a fixed one, or one that ends now. */
export interface Chosen {
  /** Undefined if the range is fixed. */
  readonly last: Preset | undefined;
  readonly at: (now: number) => Range;
}

type Given = {
  readonly from?: number | undefined;
  readonly to?: number | undefined;
  readonly last?: Preset | undefined;
};

/** @throws UsageError if the parameters contradict each other, or no query accepts the range */
export function chosenRange({ from, to, last }: Given, otherwise: Preset): Chosen {
  if (from === undefined && to === undefined) {
    const preset = last ?? otherwise;
    return { last: preset, at: (now) => ({ from: now - PRESETS[preset].ms, to: now }) };
  }
  if (last !== undefined) throw wrong("last: is given with from or to, expected one of them");
  if (from === undefined) throw wrong("from: is missing, expected with to");
  const range = { from, to: to ?? Date.now() };
  const problem = rangeProblem(range);
  if (problem !== undefined) throw wrong(problem);
  return { last: undefined, at: () => range };
}

/** @returns a sentence that says why no query accepts this range, or undefined */
export function rangeProblem({ from, to }: Range): string | undefined {
  if (![from, to].every((at) => at >= MIN_MS && at <= MAX_MS)) {
    return "The range is malformed, expected instants in the years 0 to 9999.";
  }
  if (from >= to) return "The range ends before it begins, expected a beginning before its end.";
  if (to - from <= MAX_RANGE_DAYS * DAY_MS) return undefined;
  return `The range has ${Math.ceil((to - from) / DAY_MS)} days, expected at most ${MAX_RANGE_DAYS}.`;
}

function wrong(problem: string): UsageError {
  return new UsageError(problem, [problem]);
}

/** @returns milliseconds since the Unix epoch */
function parseMs(text: string): number | undefined {
  if (/^\d{1,15}$/.test(text)) return Number(text);
  const micros = parseInstant(text);
  return micros === undefined ? undefined : Math.floor(Number(micros) / 1_000);
}
