import assert from "node:assert/strict";
import { timeFormat } from "../../../workers/producer/recording/time_format.ts";

const micros = (iso: string) => Date.parse(iso) * 1000;

const GOOD: readonly [format: string, zone: string, text: string, expected: number | bigint][] = [
  ["M/D/YYYY h:mm:ss A", "Z", "4/1/2016 7:54:00 AM", micros("2016-04-01T07:54:00Z")],
  ["M/D/YYYY h:mm:ss A", "Z", "4/1/2016 12:00:00 AM", micros("2016-04-01T00:00:00Z")],
  ["M/D/YYYY h:mm:ss A", "Z", "12/31/2016 12:59:59 pm", micros("2016-12-31T12:59:59Z")],
  ["M/D/YYYY h:mm:ss A", "+02:00", "4/1/2016 1:00:00 AM", micros("2016-03-31T23:00:00Z")],
  ["DD.MM.YYYY HH:mm", "Z", "29.02.2024 23:05", micros("2024-02-29T23:05:00Z")],
  ["YYYY-MM-DD HH:mm:ss.S", "Z", "2026-01-31 08:00:00.123456789", micros("2026-01-31T08:00:00.123Z") + 456],
  ["YYYY-MM-DDTHH:mm:ssZ", "+0100", "2026-01-31T08:00:00-0530", micros("2026-01-31T13:30:00Z")],
  ["YYYY.MM.DD", "Z", "0042.01.31", micros("0042-01-31T00:00:00Z")],
  ["iso", "Z", "2026-01-31T08:00:00.000001Z", micros("2026-01-31T08:00:00Z") + 1],
  ["iso", "+02:00", "2026-01-31 08:00:00", micros("2026-01-31T06:00:00Z")],
  ["iso", "+02:00", "2026-01-31T08:00:00+01:00", micros("2026-01-31T07:00:00Z")],
  ["epoch_s", "+02:00", "1459497240", micros("2016-04-01T07:54:00Z")],
  ["epoch_s", "Z", "1459497240.25", micros("2016-04-01T07:54:00.250Z")],
  ["epoch_ms", "Z", "1459497240001", micros("2016-04-01T07:54:00.001Z")],
  ["epoch_ms", "Z", "1459497240001.1239", micros("2016-04-01T07:54:00.001Z") + 123],
  ["iso", "Z", "1500-01-01T00:00:00.000001Z", -14_831_769_599_999_999n],
  ["iso", "+0100", "9999-12-31T23:59:59.999999", 253_402_297_199_999_999n],
  ["YYYY-MM-DD HH:mm:ss.S", "Z", "2500-01-01 00:00:00.000001", 16_725_225_600_000_001n],
  ["epoch_s", "Z", "-14831769599.999999", -14_831_769_599_999_999n],
  ["epoch_s", "Z", "16725225600.000001", 16_725_225_600_000_001n],
];

Deno.test("timeFormat() reads each time exactly, in the given zone if the text has none", () => {
  const read = GOOD.map(([format, zone, text]) => [format, text, timeFormat(format)?.parse(text, zone)]);
  assert.deepEqual(read, GOOD.map(([format, _, text, expected]) => [format, text, BigInt(expected)]));
});

const BAD: readonly [format: string, texts: readonly string[]][] = [
  ["M/D/YYYY h:mm:ss A", [
    "13/1/2016 7:54:00 AM",
    "2/30/2016 7:54:00 AM",
    "4/1/2016 13:54:00 PM",
    "4/1/2016 0:54:00 AM",
    "4/1/2016 7:60:00 AM",
    "4/1/16 7:54:00 AM",
    "4/1/2016 7:54:00",
    "x4/1/2016 7:54:00 AM",
    "",
  ]],
  ["H:m:s D.M.YYYY Z", [
    "24:0:0 1.1.2026 Z",
    "23:59:60 1.1.2026 Z",
    "1:0:0 1.1.2026 +99:99",
    "0:0:0 1.1.10000 Z",
  ]],
  ["YYYY.MM.DD", ["0000.12.31", "2026x01x31", "2023.02.29", "2026.01.31 "]],
  ["iso", ["2026-02-30T00:00:00Z", "yesterday", "1459497240"]],
  ["epoch_s", ["", "1e9", "0x10", "12 ", "999999999999999", "253402300800", "-62135596800.000001"]],
  ["epoch_ms", ["253402300800000", "-62135596800001"]],
];

Deno.test("timeFormat() refuses text that is not a time in its format", () => {
  const read = BAD.flatMap(([format, texts]) =>
    texts.filter((text) => timeFormat(format)?.parse(text, "Z") !== undefined)
  );
  assert.deepEqual(read, []);
});

Deno.test("timeFormat() refuses patterns that do not determine a time exactly", () => {
  const patterns = ["HH:mm", "YYYY-MM", "M/D/YYYY h:mm", "YYYY-MM-DD HH:mm A", "YYYY YYYY-MM-DD", ""];
  assert.deepEqual(patterns.filter((pattern) => timeFormat(pattern) !== undefined), []);
});
