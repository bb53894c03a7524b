/** The query parameters of the pages and streams. A wrong one is a sentence for the viewer. */
import { choice, type Environment, optional, parseSettings, setting, text } from "../_shared/env.ts";
import { UsageError } from "../_shared/errors.ts";
import { CUSTOMER_ID_EXPECTED, isCustomerId } from "../_shared/record/heartbeat.ts";
import { parseInstant } from "../_shared/record/instant.ts";
import { MAX_RANGE_DAYS, type Preset, PRESETS, type Range, type RejectFilter } from "./view/view.ts";

const DAY_MS = 86_400_000;
const INSTANT = { expected: "an instant such as 2026-01-31T08:00:00Z, or milliseconds since 1970" };
const CUSTOMER = setting(
  { expected: `a customer's id: ${CUSTOMER_ID_EXPECTED}` },
  (text) => isCustomerId(text) ? text : undefined,
);
const RANGE = { from: optional(setting(INSTANT, parseMs)), to: optional(setting(INSTANT, parseMs)) };
const RECORD = text({
  expected: "the value of a link to a reject, or to earlier ones",
  pattern: /^\d{1,18}-\d{1,18}$/,
});
/** Any reason that a consumer of another version may have stored, because the page links to it. */
const REASON = text({ expected: "a reason such as invalid_json", pattern: /^[a-z_]{1,64}$/ });

const CUSTOMER_PARAMETERS = {
  id: CUSTOMER,
  ...RANGE,
  last: optional(choice(Object.keys(PRESETS) as Preset[])),
};
const REJECT_PARAMETERS = {
  ...RANGE,
  reason: optional(REASON),
  customer: optional(CUSTOMER),
  record: optional(RECORD),
  before: optional(RECORD),
};

/** A range that was chosen. */
interface Chosen {
  readonly range: Range;
  /** Undefined if the range is fixed. Otherwise it ends now. */
  readonly last: Preset | undefined;
}

/** @throws UsageError with a line for each wrong parameter */
export function customerParameters(query: Environment): Chosen & { readonly id: string } {
  const { id, ...given } = parseSettings("page", CUSTOMER_PARAMETERS, query);
  return { id, ...chosenRange(given, "1h") };
}

/** @throws UsageError with a line for each wrong parameter */
export function rejectParameters(
  query: Environment,
): Pick<Chosen, "last"> & { readonly filter: RejectFilter } {
  const { from, to, customer, ...others } = parseSettings("page", REJECT_PARAMETERS, query);
  const { range, last } = chosenRange({ from, to }, "24h");
  return { filter: { ...others, customerId: customer, range }, last };
}

/** @throws UsageError with a line for each wrong parameter */
export function prefixParameter(query: Environment): string {
  return parseSettings("page", { prefix: CUSTOMER }, query).prefix;
}

type Given = {
  readonly from?: number | undefined;
  readonly to?: number | undefined;
  readonly last?: Preset | undefined;
};

/** @throws UsageError if the parameters contradict each other, or the range is empty or too long */
function chosenRange({ from, to, last }: Given, otherwise: Preset): Chosen {
  const now = Date.now();
  if (from === undefined && to === undefined) {
    const preset = last ?? otherwise;
    return { range: { from: now - PRESETS[preset].ms, to: now }, last: preset };
  }
  if (last !== undefined) {
    throw wrong(`last: is "${last}" together with from or to, expected either last, or from and to`);
  }
  const end = to === undefined ? "the present" : `to, which is ${isoOf(to)}`;
  if (from === undefined) throw wrong(`from: is missing, expected an instant before ${end}`);
  const range = { from, to: to ?? now };
  if (from >= range.to) throw wrong(`from: is ${isoOf(from)}, expected an instant before ${end}`);
  if (range.to - from <= MAX_RANGE_DAYS * DAY_MS) return { range, last: undefined };
  throw wrong(`from: is ${isoOf(from)}, expected an instant at most ${MAX_RANGE_DAYS} days before ${end}`);
}

const isoOf = (ms: number) => new Date(ms).toISOString();

function wrong(problem: string): UsageError {
  return new UsageError(problem, [problem]);
}

/** @returns milliseconds since the Unix epoch */
function parseMs(text: string): number | undefined {
  // 14 digits end in the year 5138. 15 could exceed the year 9999, which the page cannot show.
  if (/^\d{1,14}$/.test(text)) return Number(text);
  const micros = parseInstant(text);
  return micros === undefined ? undefined : Math.floor(Number(micros) / 1_000);
}
