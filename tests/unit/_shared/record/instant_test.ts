import assert from "node:assert/strict";
import fc from "fast-check";
import { INSTANT_PATTERN, parseInstant } from "../../../../workers/_shared/record/instant.ts";
import { property, timestampText } from "../../../support/property.ts";

const at = (text: string) => Temporal.Instant.from(text).epochNanoseconds / 1_000n;

const ACCEPTED: readonly (readonly [text: string, microseconds: bigint])[] = [
  ["1970-01-01T00:00:00Z", 0n],
  ["1970-01-01T00:00:00.000001Z", 1n],
  ["1969-12-31T23:59:59.999999Z", -1n],
  ["2026-07-14T09:30:00.123456Z", at("2026-07-14T09:30:00.123456Z")],
  ["2026-07-14T09:30:00.123457Z", at("2026-07-14T09:30:00.123456Z") + 1n],
  ["2026-07-14t09:30:00z", at("2026-07-14T09:30:00Z")],
  ["2026-07-14 09:30:00", at("2026-07-14T09:30:00Z")],
  ["2026-07-14T09:30:00", at("2026-07-14T09:30:00Z")],
  ["2026-07-14T09:30", at("2026-07-14T09:30:00Z")],
  ["2026-07-14T09:30Z", at("2026-07-14T09:30:00Z")],
  ["2026-07-14T09:30:00,5Z", at("2026-07-14T09:30:00.5Z")],
  ["2026-07-14T11:30:00+02:00", at("2026-07-14T09:30:00Z")],
  ["2026-07-14T11:30:00+0200", at("2026-07-14T09:30:00Z")],
  ["2026-07-14T11:30:00+02", at("2026-07-14T09:30:00Z")],
  ["2026-07-14T04:00:00-05:30", at("2026-07-14T09:30:00Z")],
  ["2026-07-14T09:30:00-00:00", at("2026-07-14T09:30:00Z")],
  ["2026-07-15T09:29:00+23:59", at("2026-07-14T09:30:00Z")],
  // Further digits are cut off. Rounding could move a reading to the next microsecond, second or year.
  ["2026-07-14T09:30:00.1234569Z", at("2026-07-14T09:30:00.123456Z")],
  ["2026-12-31T23:59:59.9999999999999999999Z", at("2026-12-31T23:59:59.999999Z")],
  ["1969-12-31T23:59:59.9999999Z", -1n],
  ["2026-07-14T09:30:00.1Z", at("2026-07-14T09:30:00.1Z")],
  ["2024-02-29T00:00:00Z", at("2024-02-29T00:00:00Z")],
  ["2000-02-29T00:00:00Z", at("2000-02-29T00:00:00Z")],
  ["0001-01-01T00:00:00Z", at("0001-01-01T00:00:00Z")],
  ["0099-12-31T00:00:00.000001Z", at("0099-12-31T00:00:00.000001Z")],
  ["9999-12-31T23:59:59.999999Z", at("9999-12-31T23:59:59.999999Z")],
  // A leap second is the first second of the next day.
  ["2016-12-31T23:59:60Z", at("2017-01-01T00:00:00Z")],
  ["2016-12-31T15:59:60.25-08:00", at("2017-01-01T00:00:00.25Z")],
];

const REFUSED: readonly string[] = [
  // Dates that do not exist.
  "2026-02-30T00:00:00Z | 2026-02-29T00:00:00Z | 1900-02-29T00:00:00Z | 2026-04-31T00:00:00Z",
  "2026-00-10T00:00:00Z | 2026-13-10T00:00:00Z | 2026-01-00T00:00:00Z | 2026-01-32T00:00:00Z",
  // Times and offsets that do not exist.
  "2026-01-01T24:00:00Z | 2026-01-01T25:00:00Z | 2026-01-01T00:60:00Z | 2026-01-01T00:00:61Z",
  "2026-01-01T00:00:60Z | 2026-01-01T23:59:60+01:00 | 2026-01-01T00:00:00+24:00",
  "2026-01-01T00:00:00+25:00 | 2026-01-01T00:00:00+01:60",
  // Outside the years 0001 to 9999, as written or in UTC.
  "0000-01-01T00:00:00Z | 0001-01-01T00:00:00+00:01 | 9999-12-31T23:59:59-00:01 | 9999-12-31T23:59:60Z",
  "10000-01-01T00:00:00Z | +02026-01-01T00:00:00Z | -2026-01-01T00:00:00Z",
  // Other formats.
  " | now | 1767225600 | 1767225600000 | 2026-01-01 | 2026-01-01T00 | 2026-01-01T00Z | 20260101T000000Z",
  "2026-W01-1T00:00:00Z | 2026-001T00:00:00Z | 2026-1-1T00:00:00Z | 2026/01/01T00:00:00Z",
  "2026-01-01_00:00:00Z | 2026-01-01  00:00:00Z |  2026-01-01T00:00:00Z | 2026-01-01T00:00:00Z ",
  "2026-01-01T00:00:00Z\n | 2026-01-01T00:00:00ZZ | 2026-01-01T00:00:00 Z | 2026-01-01T00:00:00Z\u0000",
  "2026-01-01T00:00:00.Z | 2026-01-01T00:00:00. | 2026-01-01T00:00:.5Z | 2026-01-01T00:00.5Z",
  "2026-01-01T00:00:00.5.5Z | 2026-01-01T00:00:00+ | 2026-01-01T00:00:00+1 | 2026-01-01T00:00:00+01:",
  "2026-01-01T00:00:00+01:0 | 2026-01-01T00:00:00+01:000 | 2026-01-01T00:00:00+010",
  "2026-01-01T00:00:00\u221201:00 | 2026-01-01T00:00:00 UTC | 2026-01-01T00:00:00[Europe/Berlin]",
  "\u0662\u0660\u0662\u0666-01-01T00:00:00Z",
].flatMap((line) => line.split(" | "));

Deno.test("parseInstant() is exact to the microsecond", () => {
  for (const [text, expected] of ACCEPTED) assert.equal(parseInstant(text), expected, text);
});

Deno.test("parseInstant() refuses text of another format and instants that do not exist", () => {
  for (const text of REFUSED) assert.equal(parseInstant(text), undefined, JSON.stringify(text));
});

Deno.test("parseInstant() agrees with Temporal on every date, time and offset", () => {
  fc.assert(
    fc.property(
      timestampText(),
      (text) => assert.equal(parseInstant(text), oracle(text), JSON.stringify(text)),
    ),
    property("parseInstant", 100_000),
  );
});

Deno.test("the published pattern matches every text that parseInstant() accepts", () => {
  for (const [text] of ACCEPTED) assert.match(text, INSTANT_PATTERN);
  fc.assert(
    fc.property(timestampText(), (text) => {
      if (parseInstant(text) !== undefined) assert.match(text, INSTANT_PATTERN);
      // A text that matches the pattern may be refused only for its calendar date, leap second or year.
      else if (INSTANT_PATTERN.test(text)) assert.equal(oracle(text), undefined);
    }),
    property("pattern", 50_000),
  );
});

/** Applies the rules that Temporal lacks (format, years, leap seconds, digits cut off) and returns Temporal's instant. */
function oracle(text: string): bigint | undefined {
  const parts = INSTANT_PATTERN.exec(text);
  if (parts === null) return undefined;
  const leap = text.slice(16, 19) === ":60";
  // Temporal reads :60 as :59, accepts at most nine decimals, and requires an offset.
  const cut = text.replace(/^(.{16}):60/, "$1:59").replace(/([.,][0-9]{6})[0-9]+/, "$1");
  let instant: bigint;
  try {
    instant =
      Temporal.Instant.from(/([Zz]|[+-][0-9:]+)$/.test(cut.slice(16)) ? cut : `${cut}Z`).epochNanoseconds;
  } catch {
    return undefined;
  }
  if (leap) instant += 1_000_000_000n;
  const micros = instant / 1_000n;
  const second = (micros - (((micros % 1_000_000n) + 1_000_000n) % 1_000_000n)) / 1_000_000n;
  if (leap && second % 86_400n !== 0n) return undefined;
  return second >= -62_135_596_800n && second < 253_402_300_800n ? micros : undefined;
}
