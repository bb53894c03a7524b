import fc from "fast-check";
import { timestampText } from "../property.ts";

const EDGES: readonly string[] = [
  // The first and the last year, as written and in UTC.
  "0001-01-01T00:00:00Z | 0001-01-01T00:00:00+00:01 | 0001-01-01T00:00:00-00:01 | 0000-12-31T23:59:59Z",
  "9999-12-31T23:59:59.999999Z | 9999-12-31T23:59:59-00:01 | 9999-12-31T23:59:60Z | 10000-01-01T00:00:00Z",
  // Limits of the clocks and calendars of other programs.
  "1969-12-31T23:59:59.999999Z | 1970-01-01T00:00:00Z | 1999-12-31T23:59:60Z | 2000-01-01T00:00:00Z",
  "2001-09-09T01:46:40Z | 2038-01-19T03:14:07Z | 2038-01-19T03:14:08Z | 1582-10-10T00:00:00Z",
  // Days, hours and seconds that exist and that do not.
  "1900-02-29T00:00:00Z | 2000-02-29T00:00:00Z | 2023-02-29T00:00:00Z | 2024-02-29T23:59:59.9999999Z",
  "2016-12-31T23:59:60Z | 2016-12-31T23:59:61Z | 2017-01-01T00:59:60+01:00 | 2016-12-31T22:59:60Z",
  "2025-03-30T02:30:00 | 2024-06-31T00:00:00Z | 2024-12-32T00:00:00Z | 2024-00-01T00:00:00Z",
  "2024-13-01T00:00:00Z | 2024-01-01T24:00:00Z | 2024-01-01T23:60:00Z",
  // Other notations, and words that a database or a program may accept as a time.
  "2024-01-01 | 20240101T000000Z | 2024-W01-1T00:00:00Z | 2024-001T00:00:00Z | 2024-1-1T0:0:0Z",
  "01/02/2024 00:00:00 | Mon, 01 Jan 2024 00:00:00 GMT | 2024-01-01T00:00:00Z[UTC] | 2024-01-01T00:00:00 Z",
  "2024-01-01T00:00:00+24:00 | 2024-01-01T00:00:00+23:59 | 2024-01-01T00:00:00\u221201:00",
  "2024-01-01T00:00:00.Z | 2024-01-01T00:00:00.0000000000000000000000000001Z | 2024-01-01t00:00z",
  "2024-01-01 00:00 | +002024-01-01T00:00:00Z | -000001-01-01T00:00:00Z | \u0662\u0660\u0662\u0664-01-01T00:00:00Z",
  "now | infinity | -infinity | epoch |  |   | \0 | 1767225600 | 1767225600000",
  "2024-01-01T00:00:00Z\n | \ufeff2024-01-01T00:00:00Z | 2024-01-01T00:00:00Z\0",
].flatMap((line) => line.split(" | "));

/** @param nowMs milliseconds since the Unix epoch; some timestamps are `maxClockSkewSeconds` later, near the limit */
export function instantText(nowMs: number): fc.Arbitrary<string> {
  const near = fc.tuple(
    fc.constantFrom(
      ...[-86_400_000, -300_000, -1, 0, 1, 299_999, 300_000, 300_001, 301_000, 3_600_000],
      ...[86_400_000, 315_576_000_000],
    ),
    fc.constantFrom("000", "001", "999", "0009"),
  ).map(([ms, rest]) => new Date(nowMs + ms).toISOString().replace("Z", `${rest}Z`));
  const past = fc.tuple(fc.integer({ min: 0, max: 3 * 365 * 86_400 }), fc.nat({ max: 999_999 })).map((
    [seconds, micros],
  ) =>
    new Date(nowMs - seconds * 1_000).toISOString().replace(/\.\d+Z$/, `.${String(micros).padStart(6, "0")}Z`)
  );
  return fc.oneof(
    { weight: 3, arbitrary: fc.constantFrom(...EDGES) },
    { weight: 3, arbitrary: timestampText() },
    { weight: 2, arbitrary: near },
    { weight: 6, arbitrary: past },
  );
}
