/** Values that are no reading, for each reason that data alone can cause; and records that mean harm, or look like it. */
import {
  bytes,
  type Codec,
  type PlannedRecord,
  reading,
  rejected,
  type Scenario,
  scenario,
  TS,
  type Written,
  written,
} from "./scenario.ts";

/** Under the million bytes that brokers accept by default. */
const LARGE_BYTES = 900_000;
const DEEP = `${"[".repeat(10_000)}${"]".repeat(10_000)}`;

function writtenOut(name: string, promise: string, values: readonly Written[]): Scenario {
  return scenario(name, promise, (run) => values.map((one, index) => written(run, `${name}-${index}`, one)));
}

const MALFORMED: readonly Written[] = [
  ["a tombstone", null, "tombstone"],
  ["no bytes", "", "empty_value"],
  ["bytes that no UTF-8 has", Uint8Array.of(0xff, 0xfe, 0x00, 0x80), "invalid_utf8"],
  ["an overlong slash", Uint8Array.of(0x22, 0xc0, 0xaf, 0x22), "invalid_utf8"],
  ["a surrogate as UTF-8", Uint8Array.of(0x22, 0xed, 0xa0, 0x80, 0x22), "invalid_utf8"],
  ["a character cut in the middle", Uint8Array.of(0x22, 0xf0, 0x9f, 0xab), "invalid_utf8"],
  ["white space", " \n", "invalid_json"],
  ["plain text", "ID,2026-07-14T09:30:00Z,BPM", "invalid_json"],
  ["JSON cut in the middle", `{"customer_id":"ID","timestamp":"${TS}","heart_ra`, "invalid_json"],
  ["text behind it", "{READING} ok", "invalid_json"],
  ["a second document behind it", "{READING}{}", "invalid_json"],
  ["a NUL byte behind it", "{READING}\u0000", "invalid_json"],
  ["a comma too many", "{READING,}", "invalid_json"],
  ["single quotes", `{'customer_id':'ID','timestamp':'${TS}','heart_rate':BPM}`, "invalid_json"],
  ["NaN", `{"customer_id":"ID","timestamp":"${TS}","heart_rate":NaN}`, "invalid_json"],
  [
    "a number with a leading zero",
    `{"customer_id":"ID","timestamp":"${TS}","heart_rate":0BPM}`,
    "invalid_json",
  ],
  ["a line break in a text", '{"customer_id":"ID\n",REST}', "invalid_json"],
  ["null", "null", "not_an_object"],
  ["a number", "BPM", "not_an_object"],
  ["a text", '"ID"', "not_an_object"],
  ["an array of one reading", "[{READING}]", "not_an_object"],
  ["no members", "{}", "missing_customer_id"],
  ["no customer", "{REST}", "missing_customer_id"],
  ["other names", '{"customerId":"ID",REST}', "missing_customer_id"],
  ["no timestamp", '{"customer_id":"ID","heart_rate":BPM}', "missing_timestamp"],
  ["no heart rate", `{"customer_id":"ID","timestamp":"${TS}"}`, "missing_heart_rate"],
  ["a reading in an envelope", '{"payload":{READING}}', "missing_customer_id"],
  ["a wrong customer", '{"customer_id":false,REST}', "invalid_customer_id"],
  ["a wrong timestamp", '{"customer_id":"ID","timestamp":"yesterday","heart_rate":BPM}', "invalid_timestamp"],
  ["a wrong heart rate", `{"customer_id":"ID","timestamp":"${TS}","heart_rate":"BPM"}`, "invalid_heart_rate"],
  ["all wrong, told by the first", '{"customer_id":"","timestamp":0,"heart_rate":[]}', "invalid_customer_id"],
];

const UNSTORABLE: readonly Written[] = [
  ["an escaped NUL", '{"customer_id":"ID\\u0000",REST}', "invalid_customer_id"],
  ["an unpaired high surrogate", '{"customer_id":"ID\\ud83d",REST}', "invalid_customer_id"],
  ["an unpaired low surrogate", '{"customer_id":"ID\\udc00",REST}', "invalid_customer_id"],
  ["a pair the wrong way round", '{"customer_id":"ID\\udc00\\ud83d",REST}', "invalid_customer_id"],
  ["a NUL byte in a text", '{"customer_id":"ID\u0000",REST}', "invalid_json"],
  ["a NUL in a member of no interest", '{READING,"note":"\\u0000\\ud800"}'],
];

const TRICKS: readonly Written[] = [
  ["members of no interest", '{READING,"device":{"id":7},"battery":0.5}'],
  ["a reading in __proto__", '{"__proto__":{READING}}', "missing_customer_id"],
  [
    "a heart rate in __proto__",
    `{"customer_id":"ID","timestamp":"${TS}","__proto__":{"heart_rate":BPM}}`,
    "missing_heart_rate",
  ],
  [
    "__proto__ and constructor beside a reading",
    '{READING,"__proto__":{"heart_rate":1},"constructor":{"prototype":{"heart_rate":1}}}',
  ],
  ["1e999 beats", '{READING,"heart_rate":1e999}', "heart_rate_out_of_range"],
  ["a member twice: the last counts", '{"heart_rate":-1,READING}'],
  ["deep nesting beside a reading", `{READING,"x":${DEEP}}`],
  ["brackets that never close", "[".repeat(10_000), "invalid_json"],
  ["deep nesting as a customer", `{"customer_id":${DEEP}}`, "invalid_customer_id"],
  ["member names in escapes", `{"\\u0063ustomer_id":"ID","timestam\\u0070":"${TS}","heart_rate":BPM}`],
];

const BIG: readonly Written[] = [
  ["900 kB of a member of no interest", `{READING,"note":"${"x".repeat(LARGE_BYTES)}"}`],
  [
    "900 kB of bytes",
    Uint8Array.from({ length: LARGE_BYTES }, (_, index) => (index * 197 + (index >> 8)) & 0xff),
    "invalid_utf8",
  ],
  ["900 kB of an unfinished text", `"${"x".repeat(LARGE_BYTES)}`, "invalid_json"],
];

const KEYS: readonly (readonly [what: string, key: string | Uint8Array | null, bad?: "bad"])[] = [
  ["no key", null],
  ["an empty key", ""],
  ["somebody else's key", "somebody-else"],
  ["a binary key", Uint8Array.of(0, 0xff, 0xc0, 0x80)],
  ["a reject without a key", null, "bad"],
  ["a reject with an empty key", "", "bad"],
  ["a reject with a binary key", Uint8Array.of(0, 0xff), "bad"],
];

/** Texts that break out of their quotes, their line or their terminal, where somebody forgot to escape. */
const INJECTIONS: readonly (readonly [what: string, text: string])[] = [
  ["an SQL statement", "'; drop table public.heartbeats; --"],
  ["SQL in double quotes and dollars", '" or 1=1 $$; select pg_sleep(60); $$'],
  ["the end of a COPY stream", "\\.\n\\N\t\\\\"],
  ["a forged log line", '\n{"level":"error","message":"forged"}\r\n'],
  ["terminal escapes", "\u001b[2J\u001b]0;owned\u0007"],
  ["line separators", "a\u2028b\u2029c\u0085d"],
  ["a template", "${process.env.DATABASE_URL} {{7*7}} %s%n {message}"],
  ["a path", "../../../../etc/passwd"],
  ["a formula", '=cmd|"/c calc"!A0'],
  ["HTML", "<script>alert(1)</script>"],
];

export const HOSTILE: readonly Scenario[] = [
  writtenOut("malformed", "what is no reading is rejected with its reason and its exact bytes", MALFORMED),
  scenario(
    "injection",
    "a customer's id is data, whatever it says",
    (run) => INJECTIONS.map(([what, text]) => reading(run, what, run.customer(text))),
  ),
  writtenOut(
    "unstorable_text",
    "what a PostgreSQL text cannot hold is rejected before it gets there",
    UNSTORABLE,
  ),
  writtenOut("hostile_json", "JSON that plays tricks does no harm", TRICKS),
  writtenOut("large", "a record just under the broker's limit is handled like a small one", BIG),
  scenario("keys", "a record's key decides nothing, and a reject keeps its exact bytes", (run) => [
    ...KEYS.map(([what, key, bad], index): PlannedRecord => ({
      ...written(run, `key-${index}`, bad ? [what, "{", "invalid_json"] : [what, "{READING}"]),
      key: typeof key === "string" ? bytes(key) : key,
    })),
    { what: "a tombstone without a key", key: null, value: null, expected: rejected("tombstone") },
  ]),
  scenario(
    "compression",
    "batches in every codec of a Kafka client are read",
    (run) =>
      (["none", "gzip", "snappy", "lz4", "zstd"] satisfies Codec[]).map((codec) => ({
        ...written(run, codec, [codec, "{READING}"]),
        codec,
      })),
  ),
];
