/**
 * Folder `catalogue`: the scenarios, which are lists of records and their expected outcomes. The code here never publishes or reads
 * anything.
 *
 * This file: customer ids and timestamps, accepted and refused.
 */
import {
  bytes,
  expectedOf,
  reading,
  type ReadingOverrides,
  rejected,
  type Run,
  scenario,
} from "./scenario.ts";

/** Each suffix makes a different customer id, because ids are not normalized, trimmed or case-folded. */
const SUFFIXES: readonly (readonly [what: string, suffix: string])[] = [
  ["astral characters", "🫀𝔥𝔢𝔞𝔯𝔱"],
  ["a family joined by zero-width joiners", "👩‍👩‍👧‍👦"],
  ["é as one character", "caf\u00e9"],
  ["é as two characters", "cafe\u0301"],
  ["ten combining marks", "z\u0300\u0301\u0302\u0303\u0304\u0305\u0306\u0307\u0308\u0309"],
  ["right to left", "مريض-٤٢-חולה"],
  ["a right-to-left override", "\u202egnp.exe"],
  ["zero-width characters", "a\u200bb\ufeffc"],
  ["a noncharacter and a private-use character", "\uffff\ue000"],
  ["the highest code point", "\u{10ffff}"],
  ["trailing white space", "trailing "],
  ["no trailing white space", "trailing"],
  ["upper case", "CASE"],
  ["lower case", "case"],
  ["a sharp s", "straße"],
  ["two s", "strasse"],
];

/** `shared` means that every run has this customer. `instantOf` gives the readings of two runs different instants. */
const INTEGERS: readonly (readonly [what: string, json: string, kind: "refused" | "shared"])[] = [
  ["zero", "0", "shared"],
  ["2^53 - 1", "9007199254740991", "shared"],
  ["-(2^53 - 1)", "-9007199254740991", "shared"],
  ["2^53", "9007199254740992", "refused"],
  ["2^53 + 1, which a double rounds", "9007199254740993", "refused"],
  ["-2^53", "-9007199254740992", "refused"],
  ["a fraction", "4.5", "refused"],
  ["a fraction that a double rounds", "4.00000000000000000001", "refused"],
  ["infinite", "1e999", "refused"],
  ["true", "true", "refused"],
  ["null", "null", "refused"],
  ["an array", '["a"]', "refused"],
  ["an object", '{"id":"a"}', "refused"],
];

/** Returns an instant between 1970 and 1978 that no other run has. */
export function instantOf(run: Run): string {
  const micros = run.integerId - 1e15;
  const toMillis = new Date(Math.floor(micros / 1000)).toISOString().slice(0, -1);
  return `${toMillis}${String(micros % 1000).padStart(3, "0")}Z`;
}

/** @param customerId undefined if the id is invalid */
function integer(run: Run, what: string, json: string, customerId: string | undefined) {
  const { heartRate } = run;
  const ts = instantOf(run);
  return {
    what,
    key: bytes(customerId ?? json),
    value: bytes(`{"customer_id":${json},"timestamp":"${ts}","heart_rate":${heartRate}}`),
    expected: customerId === undefined
      ? rejected("invalid_customer_id")
      : expectedOf({ customerId, ts, heartRate, anomaly: null }),
  };
}

export const CUSTOMERS = [
  scenario(
    "unicode_ids",
    "an id in any script is stored unchanged",
    (run) => SUFFIXES.map(([what, suffix]) => reading(run, what, run.customer(suffix))),
  ),
  scenario("id_length", "an id has 1 to 128 code points, however many bytes they take", (run) => {
    const invalid: ReadingOverrides = { outcome: "invalid_customer_id" };
    const idOf = (codePoints: number, character: string) => {
      const name = run.customer(codePoints > 128 ? "more-" : "max-");
      return name + character.repeat(codePoints - name.length);
    };
    return [
      reading(run, "128 letters", idOf(128, "x")),
      reading(run, "128 code points with astral characters", idOf(128, "🫀")),
      reading(run, "129 letters", idOf(129, "x"), invalid),
      reading(run, "129 code points with astral characters", idOf(129, "🫀"), invalid),
      reading(run, "empty", "", invalid),
    ];
  }),
  scenario(
    "integer_ids",
    "an integer id is the same customer as its decimal text, and is never rounded",
    (run) => {
      const { integerId } = run;
      const own = (what: string, json: string, customer: string) => {
        return { ...integer(run, what, json, customer), customer };
      };
      const asText = { ts: instantOf(run), outcome: "duplicate" } as const;
      return [
        own("an integer", `${integerId}`, `${integerId}`),
        reading(run, "the same as a string", `${integerId}`, asText),
        own("a negative integer", `-${integerId}`, `-${integerId}`),
        own("with a zero fraction", `${integerId + 1}.0`, `${integerId + 1}`),
        ...INTEGERS.map(([what, json, kind]) =>
          integer(run, what, json, kind === "shared" ? json : undefined)
        ),
      ];
    },
  ),
];

const ACCEPTED: readonly (readonly [what: string, timestamp: string, meant: string])[] = [
  ["UTC", "2026-07-14T09:30:00Z", "2026-07-14T09:30:00.000000Z"],
  ["lower case", "2026-07-14t09:30:00z", "2026-07-14T09:30:00.000000Z"],
  ["a space", "2026-07-14 09:30:00Z", "2026-07-14T09:30:00.000000Z"],
  ["no offset is UTC", "2026-07-14T09:30:00", "2026-07-14T09:30:00.000000Z"],
  ["a space and no offset", "2026-07-14 09:30:00.5", "2026-07-14T09:30:00.500000Z"],
  ["no seconds", "2026-07-14T09:30Z", "2026-07-14T09:30:00.000000Z"],
  ["offset east", "2026-07-14T09:30:00+02:00", "2026-07-14T07:30:00.000000Z"],
  ["offset west, to the next day", "2026-07-14T23:30:00-07:00", "2026-07-15T06:30:00.000000Z"],
  ["offset of half an hour", "2026-07-14T09:30:00+05:30", "2026-07-14T04:00:00.000000Z"],
  ["offset without a colon", "2026-07-14T09:30:00+0545", "2026-07-14T03:45:00.000000Z"],
  ["offset of hours only", "2026-07-14T09:30:00-03", "2026-07-14T12:30:00.000000Z"],
  ["the widest offset", "2026-07-14T23:59:00+23:59", "2026-07-14T00:00:00.000000Z"],
  ["offset minus zero", "2026-07-14T09:30:00-00:00", "2026-07-14T09:30:00.000000Z"],
  ["one decimal", "2026-07-14T09:30:00.1Z", "2026-07-14T09:30:00.100000Z"],
  ["milliseconds", "2026-07-14T09:30:00.123Z", "2026-07-14T09:30:00.123000Z"],
  ["microseconds", "2026-07-14T09:30:00.123456Z", "2026-07-14T09:30:00.123456Z"],
  ["nanoseconds, cut and not rounded", "2026-07-14T09:30:00.123456999Z", "2026-07-14T09:30:00.123456Z"],
  ["decimals after a comma", "2026-07-14T09:30:00,25Z", "2026-07-14T09:30:00.250000Z"],
  ["a leap day", "2024-02-29T12:00:00Z", "2024-02-29T12:00:00.000000Z"],
  ["a leap second", "2016-12-31T23:59:60Z", "2017-01-01T00:00:00.000000Z"],
  ["a microsecond before 1970", "1969-12-31T23:59:59.999999Z", "1969-12-31T23:59:59.999999Z"],
];

const REFUSED: readonly (readonly [what: string, timestamp: unknown])[] = [
  ["29 February in a common year", "2026-02-29T09:30:00Z"],
  ["30 February", "2026-02-30T09:30:00Z"],
  ["month 13", "2026-13-01T09:30:00Z"],
  ["day 0", "2026-07-00T09:30:00Z"],
  ["hour 24", "2026-07-14T24:00:00Z"],
  ["minute 60", "2026-07-14T09:60:00Z"],
  ["second 60 not at the end of a day", "2026-07-14T09:30:60Z"],
  ["an offset of 24 hours", "2026-07-14T09:30:00+24:00"],
  ["year 0", "0000-07-14T09:30:00Z"],
  ["before year 1 in UTC", "0001-01-01T00:00:00+01:00"],
  ["after year 9999 in UTC", "9999-12-31T23:59:59-01:00"],
  ["a five-digit year", "12026-07-14T09:30:00Z"],
  ["a date without a time", "2026-07-14"],
  ["the basic format", "20260714T093000Z"],
  ["day first", "14.07.2026 09:30"],
  ["full-width digits", "２０２６-07-14T09:30:00Z"],
  ["leading white space", " 2026-07-14T09:30:00Z"],
  ["text after it", "2026-07-14T09:30:00Z; now"],
  ["a decimal point without digits", "2026-07-14T09:30:00.Z"],
  ["a word that PostgreSQL accepts", "now"],
  ["infinity, which PostgreSQL accepts", "infinity"],
  ["an empty string", ""],
  ["epoch seconds as a number", 1_784_021_400],
  ["epoch seconds as a string", "1784021400"],
  ["null", null],
];

export const TIMESTAMPS = [
  scenario(
    "timestamps",
    "every accepted notation of an instant is read exactly, to the microsecond",
    (run) =>
      ACCEPTED.map(([what, timestamp, ts], index) =>
        reading(run, `${what}: ${timestamp}`, run.customer(`time-${index}`), { timestamp, ts })
      ),
  ),
  scenario(
    "impossible_timestamps",
    "a value that is not an instant is rejected as invalid_timestamp",
    (run) =>
      REFUSED.map(([what, timestamp], index) =>
        reading(run, what, run.customer(`no-time-${index}`), { timestamp, outcome: "invalid_timestamp" })
      ),
  ),
  scenario(
    "microseconds",
    "two readings a microsecond apart are two rows",
    (run) =>
      ["09:30:00.123456", "09:30:00.123457", "09:30:00.123455"].map((time) =>
        reading(run, time, run.customer("microseconds"), { ts: `2026-07-14T${time}Z` })
      ),
  ),
  scenario(
    "far_past",
    "a reading is stored however far in the past it is",
    (run) =>
      ["0001-01-01T00:00:00.000001Z", "1582-10-10T12:00:00.000000Z", "1900-02-28T23:59:59.999999Z"].map((
        ts,
      ) => reading(run, ts, run.customer(`past-${ts.slice(0, 4)}`), { ts })),
  ),
  scenario(
    "future",
    "a reading up to MAX_CLOCK_SKEW_SECONDS ahead is stored, a later one is rejected",
    (run) => {
      const skewMs = run.limits.maxClockSkewSeconds * 1000;
      const dayMs = 86_400_000;
      const inMs = (ms: number) => new Date(run.startedMs + ms).toISOString();
      const ahead = (what: string, timestamp: string) => {
        const customer = run.customer(`ahead-${what.replaceAll(" ", "-")}`);
        return reading(run, what, customer, { timestamp, outcome: "timestamp_in_future" });
      };
      const timestamp = inMs(skewMs / 2);
      // The name has the instant, because a repetition of the run has another instant.
      const customer = run.customer(`ahead-${run.startedMs + skewMs / 2}`);
      const within = { timestamp, ts: timestamp.replace("Z", "000Z") };
      return [
        // The clock of the consumer may differ by less than half the skew. With a small skew, this is too little.
        ...skewMs < 60_000 ? [] : [reading(run, "half the skew ahead", customer, within)],
        ahead("a day beyond the skew", inMs(skewMs + dayMs)),
        ahead("ten years beyond the skew", inMs(skewMs + 3652 * dayMs)),
        ahead("the end of time", "9999-12-31T23:59:59.999999Z"),
      ];
    },
  ),
];
