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

const REJECTED: readonly Row[] = [
  ["a tombstone", null, "tombstone", `value: is null, ${FIELDS}`],
  ["zero bytes", "", "empty_value", `value: is empty, ${FIELDS}`],
  ["white space", " \n", "invalid_json", "value: is no JSON (Unexpected end of JSON input)"],
  ["a byte order mark alone", "\ufeff", "invalid_json", "value: is no JSON"],
  [
    "two byte order marks",
    `\ufeff\ufeff${JSON.stringify(VALID)}`,
    "invalid_json",
    "value: is no JSON (Unexpected token '\\ufeff'",
  ],
  ["a NUL byte", "\0", "invalid_json", "value: is no JSON (Unexpected token '\\u0000'"],
  ["text", "hello", "invalid_json", "value: is no JSON"],
  [
    "text after the object",
    `${JSON.stringify(VALID)}x`,
    "invalid_json",
    "value: is no JSON (Unexpected non-whitespace",
  ],
  [
    "two objects",
    `${JSON.stringify(VALID)}\n${JSON.stringify(VALID)}`,
    "invalid_json",
    "value: is no JSON",
  ],
  [
    "2 MB and a byte, JSON or not: parsed, a text of brackets takes thirty times as much memory",
    `${JSON.stringify(VALID)}`.padEnd(2 * 1024 * 1024 + 1),
    "invalid_json",
    "value: has 2097153 bytes, expected one JSON object with customer_id, timestamp and heart_rate in at most 2097152",
  ],
  ["a truncated object", JSON.stringify(VALID).slice(0, -1), "invalid_json", "value: is no JSON"],
  ["a comma at the end", JSON.stringify(VALID).replace("}", ",}"), "invalid_json", "value: is no JSON"],
  ["a comment", `/* */${JSON.stringify(VALID)}`, "invalid_json", "value: is no JSON"],
  ["single quotes", JSON.stringify(VALID).replaceAll('"', "'"), "invalid_json", "value: is no JSON"],
  ["NaN", written("heart_rate", "NaN"), "invalid_json", "value: is no JSON"],
  ["Infinity", written("heart_rate", "Infinity"), "invalid_json", "value: is no JSON"],
  ["a leading zero", written("heart_rate", "072"), "invalid_json", "value: is no JSON"],
  ["a plus sign", written("heart_rate", "+72"), "invalid_json", "value: is no JSON"],
  ["a bare point", written("heart_rate", "72."), "invalid_json", "value: is no JSON"],
  ["hexadecimal", written("heart_rate", "0x48"), "invalid_json", "value: is no JSON"],
  ["a raw line break in a text", written("customer_id", '"a\nb"'), "invalid_json", "value: is no JSON"],
  ["a bad escape", written("customer_id", '"\\x41"'), "invalid_json", "value: is no JSON"],
  ["CSV", "c-1,2026-07-14T09:30:00Z,72", "invalid_json", "value: is no JSON"],
  ["a million open brackets", "[".repeat(1e6), "invalid_json", "value: is no JSON"],
  ["a million open objects", '{"a":'.repeat(2e5), "invalid_json", "value: is no JSON"],
  [
    "a lone continuation byte",
    Uint8Array.of(0x80),
    "invalid_utf8",
    "value: is not valid UTF-8, expected JSON in UTF-8",
  ],
  ["an overlong slash", Uint8Array.of(0x22, 0xc0, 0xaf, 0x22), "invalid_utf8", "value: is not valid UTF-8"],
  [
    "an encoded surrogate",
    Uint8Array.of(0x22, 0xed, 0xa0, 0x80, 0x22),
    "invalid_utf8",
    "value: is not valid UTF-8",
  ],
  [
    "beyond U+10FFFF",
    Uint8Array.of(0x22, 0xf4, 0x90, 0x80, 0x80, 0x22),
    "invalid_utf8",
    "value: is not valid UTF-8",
  ],
  ["a cut character", bytes('"\u{1f493}').slice(0, -1), "invalid_utf8", "value: is not valid UTF-8"],
  [
    "UTF-16",
    new Uint8Array(Buffer.from(`\ufeff${JSON.stringify(VALID)}`, "utf16le")),
    "invalid_utf8",
    "value: is not",
  ],
  ["gzip", Uint8Array.of(0x1f, 0x8b, 8, 0), "invalid_utf8", "value: is not valid UTF-8"],
  ["JSON null", "null", "not_an_object", `value: is null, ${FIELDS}`],
  ["an array", `[${JSON.stringify(VALID)}]`, "not_an_object", `value: is an array, ${FIELDS}`],
  ["a number", "72", "not_an_object", `value: is 72, ${FIELDS}`],
  ["a text", '"a\\"b\\u0000"', "not_an_object", `value: is "a\\"b\\u0000", ${FIELDS}`],
  [
    "JSON inside a text",
    JSON.stringify(JSON.stringify(VALID)),
    "not_an_object",
    'value: is "{\\"customer_id\\":',
  ],
  ["100,000 nested arrays", "[".repeat(1e5) + "]".repeat(1e5), "not_an_object", "value: is an array"],
  [
    "an empty object",
    "{}",
    "missing_customer_id",
    `customer_id: is missing, ${ID}; timestamp: is missing, ${DATE}`,
  ],
  [
    "no customer",
    JSON.stringify({ ...VALID, customer_id: undefined }),
    "missing_customer_id",
    `customer_id: is missing, ${ID}`,
  ],
  [
    "no timestamp",
    JSON.stringify({ ...VALID, timestamp: undefined }),
    "missing_timestamp",
    `timestamp: is missing, ${DATE}`,
  ],
  [
    "no heart rate",
    JSON.stringify({ ...VALID, heart_rate: undefined }),
    "missing_heart_rate",
    `heart_rate: is missing, ${RATE}`,
  ],
  [
    "other letters",
    JSON.stringify(VALID).replace("heart_rate", "Heart_Rate"),
    "missing_heart_rate",
    `heart_rate: is missing, ${RATE}`,
  ],
  [
    "members in __proto__ only",
    `{"__proto__":${JSON.stringify(VALID)}}`,
    "missing_customer_id",
    "customer_id: is missing",
  ],
  ["an empty customer", written("customer_id", '""'), "invalid_customer_id", `customer_id: is "", ${ID}`],
  ["a null customer", written("customer_id", "null"), "invalid_customer_id", `customer_id: is null, ${ID}`],
  [
    "true as the customer",
    written("customer_id", "true"),
    "invalid_customer_id",
    `customer_id: is true, ${ID}`,
  ],
  [
    "an object as the customer",
    written("customer_id", '{"a":1}'),
    "invalid_customer_id",
    `customer_id: is an object, ${ID}`,
  ],
  [
    "a NUL in the customer",
    written("customer_id", '"a\\u0000b"'),
    "invalid_customer_id",
    `customer_id: is "a\\u0000b", ${ID}`,
  ],
  [
    "an unpaired surrogate",
    written("customer_id", '"a\\ud83d"'),
    "invalid_customer_id",
    `customer_id: is "a\\ud83d", ${ID}`,
  ],
  [
    "surrogates in the wrong order",
    written("customer_id", '"\\udc93\\ud83d"'),
    "invalid_customer_id",
    'customer_id: is "\\udc93\\ud83d"',
  ],
  [
    "129 characters",
    written("customer_id", `"${"x".repeat(129)}"`),
    "invalid_customer_id",
    `customer_id: is "${"x".repeat(60)}...", ${ID}`,
  ],
  [
    "a long customer, cut between characters",
    written("customer_id", `"${"x".repeat(59)}${"\u{1f493}".repeat(99)}"`),
    "invalid_customer_id",
    `customer_id: is "${"x".repeat(59)}...", ${ID}`,
  ],
  [
    "2^53",
    written("customer_id", "9007199254740992"),
    "invalid_customer_id",
    `customer_id: is 9007199254740992, ${ID}`,
  ],
  [
    "2^53+1, which a double cannot tell from 2^53",
    written("customer_id", "9007199254740993"),
    "invalid_customer_id",
    "customer_id: is 9007199254740993",
  ],
  [
    "-2^53",
    written("customer_id", "-9007199254740992"),
    "invalid_customer_id",
    "customer_id: is -9007199254740992",
  ],
  ["1e999", written("customer_id", "1e999"), "invalid_customer_id", "customer_id: is 1e999"],
  [
    "1e-400, which a double rounds to 0",
    written("customer_id", "1e-400"),
    "invalid_customer_id",
    "customer_id: is 1e-400",
  ],
  ["a fraction", written("customer_id", "1.5"), "invalid_customer_id", "customer_id: is 1.5"],
  [
    "a fraction that a double rounds",
    written("customer_id", "9007199254740990.9999"),
    "invalid_customer_id",
    "customer_id: is 9007199254740990.9999",
  ],
  [
    "a day that is none",
    written("timestamp", '"2026-02-30T00:00:00Z"'),
    "invalid_timestamp",
    `timestamp: is "2026-02-30T00:00:00Z", ${DATE}`,
  ],
  [
    "seconds since 1970",
    written("timestamp", "1767225600"),
    "invalid_timestamp",
    `timestamp: is 1767225600, ${DATE}`,
  ],
  ["a null timestamp", written("timestamp", "null"), "invalid_timestamp", `timestamp: is null, ${DATE}`],
  [
    "controls in the timestamp",
    written("timestamp", '"\\u001b[2J\\u202e\\u2028"'),
    "invalid_timestamp",
    'timestamp: is "\\u001b[2J\\u202e\\u2028"',
  ],
  [
    "a microsecond too far in the future",
    written("timestamp", '"2026-07-14T09:35:00.000001Z"'),
    "timestamp_in_future",
    'timestamp: is "2026-07-14T09:35:00.000001Z", expected at most 2026-07-14T09:35:00.000Z (300 s ahead of our clock)',
  ],
  [
    "the year 9999",
    written("timestamp", '"9999-12-31T23:59:59Z"'),
    "timestamp_in_future",
    'timestamp: is "9999-12-31T23:59:59Z"',
  ],
  [
    "a heart rate as text",
    written("heart_rate", '"72"'),
    "invalid_heart_rate",
    `heart_rate: is "72", ${RATE}`,
  ],
  [
    "a null heart rate",
    written("heart_rate", "null"),
    "invalid_heart_rate",
    `heart_rate: is null, ${RATE}`,
  ],
  ["half a beat", written("heart_rate", "72.5"), "invalid_heart_rate", `heart_rate: is 72.5, ${RATE}`],
  [
    "a fraction that a double cannot see",
    written("heart_rate", "72.00000000000000001"),
    "invalid_heart_rate",
    `heart_rate: is 72.00000000000000001, ${RATE}`,
  ],
  [
    "the same before an exact one inside another object",
    `{"heart_rate":72.00000000000000001,"customer_id":"c-1","timestamp":"${VALID.timestamp}","x":{"heart_rate":72}}`,
    "invalid_heart_rate",
    "heart_rate: is 72.00000000000000001",
  ],
  [
    "an array as the heart rate",
    written("heart_rate", "[72]"),
    "invalid_heart_rate",
    `heart_rate: is an array, ${RATE}`,
  ],
  ["29", written("heart_rate", "29"), "heart_rate_out_of_range", `heart_rate: is 29, ${RANGE}`],
  ["221", written("heart_rate", "221"), "heart_rate_out_of_range", `heart_rate: is 221, ${RANGE}`],
  ["0", written("heart_rate", "0"), "heart_rate_out_of_range", `heart_rate: is 0, ${RANGE}`],
  ["-72", written("heart_rate", "-72"), "heart_rate_out_of_range", `heart_rate: is -72, ${RANGE}`],
  [
    "2^53+1 beats",
    written("heart_rate", "9007199254740993"),
    "heart_rate_out_of_range",
    `heart_rate: is 9007199254740993, ${RANGE}`,
  ],
  [
    "1e999 beats",
    written("heart_rate", "1e999"),
    "heart_rate_out_of_range",
    `heart_rate: is 1e999, ${RANGE}`,
  ],
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
