/** Customer ids: integers, and what Unicode can do to a text. */
import { duplicate, instantOf, raw, reading, rejected, type Scenario, stored } from "../scenario.ts";

const TIMESTAMP = "2026-07-14T09:30:00.000000Z";

/** Characters until the text has so many code points. */
function fill(text: string, character: string, codePoints: number): string {
  return text + character.repeat(codePoints - [...text].length);
}

/** Each behind the run's own name, and each another customer: nothing is normalised, trimmed or folded. */
const SUFFIXES: readonly (readonly [what: string, suffix: string])[] = [
  ["astral characters", "🫀𝔥𝔢𝔞𝔯𝔱"],
  ["a family joined by zero-width joiners", "👩‍👩‍👧‍👦"],
  ["é as one character", "caf\u00e9"],
  ["é as two characters", "cafe\u0301"],
  ["ten combining marks", "z\u0300\u0301\u0302\u0303\u0304\u0305\u0306\u0307\u0308\u0309"],
  ["right to left", "مريض-٤٢-חולה"],
  ["a right-to-left override", "\u202egnp.exe"],
  ["zero-width characters", "a\u200bb\ufeffc"],
  ["a noncharacter and a private one", "\uffff\ue000"],
  ["the highest code point", "\u{10ffff}"],
  ["white space at its end", "trailing "],
  ["no white space at its end", "trailing"],
  ["upper case", "CASE"],
  ["lower case", "case"],
  ["a sharp s", "straße"],
  ["two s", "strasse"],
];

export const CUSTOMERS: readonly Scenario[] = [
  {
    name: "unicode_ids",
    promise: "ids are kept character by character",
    records: (run) =>
      SUFFIXES.map(([what, suffix]) => {
        const customer = run.customer(suffix);
        const members = { timestamp: TIMESTAMP, heart_rate: run.heartRate };
        return reading(what, customer, members, stored(customer, TIMESTAMP, run.heartRate));
      }),
  },
  {
    name: "id_length",
    promise: "1 to 128 code points are an id, whatever their bytes",
    records: (run) => {
      const members = { timestamp: TIMESTAMP, heart_rate: run.heartRate };
      const name = (what: string) => run.customer(`${what}-`);
      return [
        ...[["128 letters", "x"], ["128 with astral ones", "🫀"]].map(([what = "", with_ = ""]) => {
          const customer = fill(name("max"), with_, 128);
          return reading(what, customer, members, stored(customer, TIMESTAMP, run.heartRate));
        }),
        ...[["129 letters", "x"], ["129 with astral ones", "🫀"]].map(([what = "", with_ = ""]) =>
          reading(what, fill(name("more"), with_, 129), members, rejected("invalid_customer_id"))
        ),
        reading("empty", "", members, rejected("invalid_customer_id")),
      ];
    },
  },
  {
    name: "integer_ids",
    promise: "an integer is the customer of its decimal text, and never rounded",
    records: (run) => {
      const { number, heartRate } = run;
      const ts = instantOf(run);
      const id = (what: string, written: string, customerId: string, isOurs: boolean) => {
        const value = `{"customer_id":${written},"timestamp":"${ts}","heart_rate":${heartRate}}`;
        return raw(
          what,
          customerId,
          value,
          stored(customerId, ts, heartRate),
          isOurs ? customerId : undefined,
        );
      };
      const refused = (what: string, written: string) => {
        const value = `{"customer_id":${written},"timestamp":"${ts}","heart_rate":${heartRate}}`;
        return raw(what, written, value, rejected("invalid_customer_id"));
      };
      const sameAsText = `{"customer_id":"${number}","timestamp":"${ts}","heart_rate":${heartRate}}`;
      return [
        id("an integer", `${number}`, `${number}`, true),
        raw(
          "the same as a text",
          `${number}`,
          sameAsText,
          duplicate(`${number}`, ts, heartRate),
          `${number}`,
        ),
        id("a negative one", `-${number}`, `-${number}`, true),
        id("with a fraction of zero", `${number + 1}.0`, `${number + 1}`, true),
        id("zero", "0", "0", false),
        id("2^53 - 1", "9007199254740991", "9007199254740991", false),
        id("-(2^53 - 1)", "-9007199254740991", "-9007199254740991", false),
        refused("2^53", "9007199254740992"),
        refused("2^53 + 1, which a double rounds", "9007199254740993"),
        refused("-2^53", "-9007199254740992"),
        refused("a fraction", "4.5"),
        refused("a fraction that a double rounds", "4.00000000000000000001"),
        refused("infinite", "1e999"),
        refused("true", "true"),
        refused("null", "null"),
        refused("an array", '["a"]'),
        refused("an object", '{"id":"a"}'),
      ];
    },
  },
];
