import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import type { RejectReason } from "../../../../workers/_shared/record/heartbeat.ts";
import { assertStorable } from "../../../support/storable.ts";
import { bytes, decode, VALID, written } from "../../../support/wire_record.ts";

const FIELDS = "expected one JSON object with customer_id, timestamp and heart_rate";
const ID = "expected 1 to 128 characters without NUL and unpaired surrogates, or an integer up to 2^53-1";
const DATE = "expected an existing date and time in ISO 8601, such as";
const RATE = "expected an integer (beats per minute)";
const RANGE = "expected 30 to 220 (beats per minute)";

type Row = readonly [why: string, value: string | Uint8Array | null, reason: RejectReason, detail: string];

const good = JSON.stringify(VALID);
const without = (name: keyof typeof VALID) => JSON.stringify({ ...VALID, [name]: undefined });

const NO_JSON: readonly (readonly [why: string, value: string, parserMessage?: string])[] = [
  ["white space", " \n", " (Unexpected end of JSON input)"],
  ["a byte order mark without text", "\ufeff"],
  ["two byte order marks", `\ufeff\ufeff${good}`, " (Unexpected token '\\ufeff'"],
  ["a NUL byte", "\0", " (Unexpected token '\\u0000'"],
  ["text", "hello"],
  ["text after the object", `${good}x`, " (Unexpected non-whitespace"],
  ["two objects", `${good}\n${good}`],
  ["a truncated object", good.slice(0, -1)],
  ["a comma at the end", good.replace("}", ",}")],
  ["a comment", `/* */${good}`],
  ["single quotes", good.replaceAll('"', "'")],
  ...["NaN", "Infinity", "072", "+72", "72.", "0x48"].map((rate) =>
    [rate, written("heart_rate", rate)] as const
  ),
  ["a raw line break in a text", written("customer_id", '"a\nb"')],
  ["a bad escape", written("customer_id", '"\\x41"')],
  ["CSV", "c-1,2026-07-14T09:30:00Z,72"],
  ["a million open brackets", "[".repeat(1e6)],
  ["a million open objects", '{"a":'.repeat(2e5)],
];

const NO_UTF8: readonly (readonly [why: string, value: Uint8Array])[] = [
  ["a lone continuation byte", Uint8Array.of(0x80)],
  ["an overlong slash", Uint8Array.of(0x22, 0xc0, 0xaf, 0x22)],
  ["an encoded surrogate", Uint8Array.of(0x22, 0xed, 0xa0, 0x80, 0x22)],
  ["a code point above U+10FFFF", Uint8Array.of(0x22, 0xf4, 0x90, 0x80, 0x80, 0x22)],
  ["a truncated character", bytes('"\u{1f493}').slice(0, -1)],
  ["UTF-16", new Uint8Array(Buffer.from(`\ufeff${good}`, "utf16le"))],
  ["gzip", Uint8Array.of(0x1f, 0x8b, 8, 0)],
];

/** The value of one member as JSON source, and its text in the detail if it differs from the source. */
type Wrong = readonly [why: string, source: string, quoted?: string];

const CUSTOMERS: readonly Wrong[] = [
  ["an empty customer", '""'],
  ["a null customer", "null"],
  ["true as the customer", "true"],
  ["an object as the customer", '{"a":1}', "an object"],
  ["a NUL in the customer", '"a\\u0000b"'],
  ["an unpaired surrogate", '"a\\ud83d"'],
  ["surrogates in the wrong order", '"\\udc93\\ud83d"'],
  ["129 characters", `"${"x".repeat(129)}"`, `"${"x".repeat(60)}..."`],
  [
    "a long customer, cut between characters",
    `"${"x".repeat(59)}${"\u{1f493}".repeat(99)}"`,
    `"${"x".repeat(59)}..."`,
  ],
  ["2^53", "9007199254740992"],
  ["2^53+1, which a double cannot tell from 2^53", "9007199254740993"],
  ["-2^53", "-9007199254740992"],
  ["1e999", "1e999"],
  ["1e-400, which a double rounds to 0", "1e-400"],
  ["a fraction", "1.5"],
  ["a fraction that a double rounds", "9007199254740990.9999"],
];

const TIMESTAMPS: readonly Wrong[] = [
  ["a date that does not exist", '"2026-02-30T00:00:00Z"'],
  ["seconds since 1970", "1767225600"],
  ["a null timestamp", "null"],
  ["control characters in the timestamp", '"\\u001b[2J\\u202e\\u2028"'],
];

const RATES: readonly Wrong[] = [
  ["a heart rate as text", '"72"'],
  ["a null heart rate", "null"],
  ["a fractional heart rate", "72.5"],
  ["a fraction that a double rounds away", "72.00000000000000001"],
  ["an array as the heart rate", "[72]", "an array"],
];

const OUT_OF_RANGE: readonly Wrong[] = [
  ...["29", "221", "0", "-72"].map((rate): Wrong => [rate, rate]),
  ["2^53+1 beats", "9007199254740993"],
  ["1e999 beats", "1e999"],
];

/** @param expected the beginning of the detail's text after the value */
function members(
  field: keyof typeof VALID,
  rows: readonly Wrong[],
  reason: RejectReason,
  expected: string,
): Row[] {
  return rows.map(([why, source, quoted = source]) => {
    return [why, written(field, source), reason, `${field}: is ${quoted}, ${expected}`];
  });
}

const REJECTED: readonly Row[] = [
  ["a tombstone", null, "tombstone", `value: is null, ${FIELDS}`],
  ["zero bytes", "", "empty_value", `value: is empty, ${FIELDS}`],
  ...NO_JSON.map((
    [why, value, parserMessage = ""],
  ): Row => [why, value, "invalid_json", `value: is no JSON${parserMessage}`]),
  [
    // A parser would need thirty times the length of these brackets in memory.
    "a value of 2 MiB and one byte",
    good.padEnd(2 * 1024 * 1024 + 1),
    "invalid_json",
    `value: has 2097153 bytes, ${FIELDS} in at most 2097152`,
  ],
  ...NO_UTF8.map(([why, value]): Row => {
    return [why, value, "invalid_utf8", "value: is not valid UTF-8, expected JSON in UTF-8"];
  }),
  ["JSON null", "null", "not_an_object", `value: is null, ${FIELDS}`],
  ["an array", `[${good}]`, "not_an_object", `value: is an array, ${FIELDS}`],
  ["a number", "72", "not_an_object", `value: is 72, ${FIELDS}`],
  ["a text", '"a\\"b\\u0000"', "not_an_object", `value: is "a\\"b\\u0000", ${FIELDS}`],
  ["JSON inside a text", JSON.stringify(good), "not_an_object", 'value: is "{\\"customer_id\\":'],
  ["100,000 nested arrays", "[".repeat(1e5) + "]".repeat(1e5), "not_an_object", "value: is an array"],
  [
    "an empty object",
    "{}",
    "missing_customer_id",
    `customer_id: is missing, ${ID}; timestamp: is missing, ${DATE}`,
  ],
  [
    "a record without a customer",
    without("customer_id"),
    "missing_customer_id",
    `customer_id: is missing, ${ID}`,
  ],
  [
    "a record without a timestamp",
    without("timestamp"),
    "missing_timestamp",
    `timestamp: is missing, ${DATE}`,
  ],
  [
    "a record without a heart rate",
    without("heart_rate"),
    "missing_heart_rate",
    `heart_rate: is missing, ${RATE}`,
  ],
  [
    "a member name in other letter case",
    good.replace("rate", "Rate"),
    "missing_heart_rate",
    `heart_rate: is missing, ${RATE}`,
  ],
  [
    "a record whose members are only in __proto__",
    `{"__proto__":${good}}`,
    "missing_customer_id",
    "customer_id: is missing",
  ],
  ...members("customer_id", CUSTOMERS, "invalid_customer_id", ID),
  ...members("timestamp", TIMESTAMPS, "invalid_timestamp", DATE),
  ...members(
    "timestamp",
    [["a microsecond too far in the future", '"2026-07-14T09:35:00.000001Z"'], [
      "the year 9999",
      '"9999-12-31T23:59:59Z"',
    ]],
    "timestamp_in_future",
    "expected at most 2026-07-14T09:35:00.000Z (300 s ahead of the consumer's clock)",
  ),
  ...members("heart_rate", RATES, "invalid_heart_rate", RATE),
  [
    "a fraction that a double rounds away, before an exact number inside another object",
    `{"heart_rate":72.00000000000000001,"customer_id":"c-1","timestamp":"${VALID.timestamp}","x":{"heart_rate":72}}`,
    "invalid_heart_rate",
    "heart_rate: is 72.00000000000000001",
  ],
  ...members("heart_rate", OUT_OF_RANGE, "heart_rate_out_of_range", RANGE),
  [
    "two wrong fields",
    '{"customer_id":"","timestamp":"x","heart_rate":72}',
    "invalid_customer_id",
    `customer_id: is "", ${ID}; timestamp: is "x", ${DATE}`,
  ],
];

for (const [why, value, reason, detail] of REJECTED) {
  Deno.test(`decode() rejects ${why} as ${reason}`, () => {
    const decoded = decode(typeof value === "string" ? bytes(value) : value);
    assert(decoded.kind === "reject", JSON.stringify(value));
    assert.equal(decoded.reason, reason, decoded.detail);
    assert(decoded.detail.startsWith(detail), `detail: ${decoded.detail}\nexpected: ${detail}`);
    assertStorable(decoded.detail);
  });
}
