import {
  bytes,
  type Codec,
  fromTemplate,
  type PlannedRecord,
  reading,
  rejected,
  type Scenario,
  scenario,
  type Template,
  TS,
} from "./scenario.ts";

/** Below the default limit of a broker: `message.max.bytes` is 1,048,588. */
const LARGE_BYTES = 900_000;
const DEEP_NESTING = `${"[".repeat(10_000)}${"]".repeat(10_000)}`;

function templates(name: string, promise: string, values: readonly Template[]): Scenario {
  return scenario(
    name,
    promise,
    (run) => values.map((value, index) => fromTemplate(run, `${name}-${index}`, value)),
  );
}

const MALFORMED: readonly Template[] = [
  ["a tombstone", null, "tombstone"],
  ["an empty value", "", "empty_value"],
  ["bytes that UTF-8 never contains", Uint8Array.of(0xff, 0xfe, 0x00, 0x80), "invalid_utf8"],
  ["an overlong encoding of a slash", Uint8Array.of(0x22, 0xc0, 0xaf, 0x22), "invalid_utf8"],
  ["a surrogate as UTF-8", Uint8Array.of(0x22, 0xed, 0xa0, 0x80, 0x22), "invalid_utf8"],
  ["a truncated character", Uint8Array.of(0x22, 0xf0, 0x9f, 0xab), "invalid_utf8"],
  ["white space", " \n", "invalid_json"],
  ["plain text", "ID,2026-07-14T09:30:00Z,BPM", "invalid_json"],
  ["truncated JSON", `{"customer_id":"ID","timestamp":"${TS}","heart_ra`, "invalid_json"],
  ["text after the object", "{READING} ok", "invalid_json"],
  ["a second object after it", "{READING}{}", "invalid_json"],
  ["a NUL byte after the object", "{READING}\u0000", "invalid_json"],
  ["a trailing comma", "{READING,}", "invalid_json"],
  ["single quotes", `{'customer_id':'ID','timestamp':'${TS}','heart_rate':BPM}`, "invalid_json"],
  ["NaN", `{"customer_id":"ID","timestamp":"${TS}","heart_rate":NaN}`, "invalid_json"],
  [
    "a number with a leading zero",
    `{"customer_id":"ID","timestamp":"${TS}","heart_rate":0BPM}`,
    "invalid_json",
  ],
  ["a line break in a string", '{"customer_id":"ID\n",REST}', "invalid_json"],
  ["null", "null", "not_an_object"],
  ["a number", "BPM", "not_an_object"],
  ["a string", '"ID"', "not_an_object"],
  ["an array of one reading", "[{READING}]", "not_an_object"],
  ["an empty object", "{}", "missing_customer_id"],
  ["no customer_id", "{REST}", "missing_customer_id"],
  ["another member name", '{"customerId":"ID",REST}', "missing_customer_id"],
  ["no timestamp", '{"customer_id":"ID","heart_rate":BPM}', "missing_timestamp"],
  ["no heart rate", `{"customer_id":"ID","timestamp":"${TS}"}`, "missing_heart_rate"],
  ["a reading in an envelope", '{"payload":{READING}}', "missing_customer_id"],
  ["a boolean customer_id", '{"customer_id":false,REST}', "invalid_customer_id"],
  [
    "a word as the timestamp",
    '{"customer_id":"ID","timestamp":"yesterday","heart_rate":BPM}',
    "invalid_timestamp",
  ],
  [
    "a heart rate as a string",
    `{"customer_id":"ID","timestamp":"${TS}","heart_rate":"BPM"}`,
    "invalid_heart_rate",
  ],
  [
    "three wrong members: the first gives the reason",
    '{"customer_id":"","timestamp":0,"heart_rate":[]}',
    "invalid_customer_id",
  ],
];

const UNSTORABLE: readonly Template[] = [
  ["an escaped NUL", '{"customer_id":"ID\\u0000",REST}', "invalid_customer_id"],
  ["an unpaired high surrogate", '{"customer_id":"ID\\ud83d",REST}', "invalid_customer_id"],
  ["an unpaired low surrogate", '{"customer_id":"ID\\udc00",REST}', "invalid_customer_id"],
  ["a surrogate pair in the wrong order", '{"customer_id":"ID\\udc00\\ud83d",REST}', "invalid_customer_id"],
  ["a NUL byte in a string", '{"customer_id":"ID\u0000",REST}', "invalid_json"],
  ["a NUL in an unknown member", '{READING,"note":"\\u0000\\ud800"}'],
];

const TRICKS: readonly Template[] = [
  ["unknown members", '{READING,"device":{"id":7},"battery":0.5}'],
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
  ["a heart rate of 1e999", '{READING,"heart_rate":1e999}', "heart_rate_out_of_range"],
  ["a member twice: the last counts", '{"heart_rate":-1,READING}'],
  ["deep nesting beside a reading", `{READING,"x":${DEEP_NESTING}}`],
  ["brackets that never close", "[".repeat(10_000), "invalid_json"],
  ["deep nesting as a customer", `{"customer_id":${DEEP_NESTING}}`, "invalid_customer_id"],
  ["escaped member names", `{"\\u0063ustomer_id":"ID","timestam\\u0070":"${TS}","heart_rate":BPM}`],
];

const LARGE: readonly Template[] = [
  ["an unknown member of 900 kB", `{READING,"note":"${"x".repeat(LARGE_BYTES)}"}`],
  [
    "900 kB of binary data",
    Uint8Array.from({ length: LARGE_BYTES }, (_, index) => (index * 197 + (index >> 8)) & 0xff),
    "invalid_utf8",
  ],
  ["an unfinished string of 900 kB", `"${"x".repeat(LARGE_BYTES)}`, "invalid_json"],
];

const KEYS: readonly (readonly [what: string, key: string | Uint8Array | null, bad?: "bad"])[] = [
  ["no key", null],
  ["an empty key", ""],
  ["a key that is not the customer", "somebody-else"],
  ["a binary key", Uint8Array.of(0, 0xff, 0xc0, 0x80)],
  ["a reject without a key", null, "bad"],
  ["a reject with an empty key", "", "bad"],
  ["a reject with a binary key", Uint8Array.of(0, 0xff), "bad"],
];

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
  templates(
    "malformed",
    "a value that is not a reading is rejected with its reason and its exact bytes",
    MALFORMED,
  ),
  scenario(
    "injection",
    "a customer id is only data, whatever it contains",
    (run) => INJECTIONS.map(([what, text]) => reading(run, what, run.customer(text))),
  ),
  templates(
    "unstorable_text",
    "text that PostgreSQL cannot store is rejected before it reaches the database",
    UNSTORABLE,
  ),
  templates("hostile_json", "unusual and hostile JSON does no harm", TRICKS),
  templates("large", "a record just below the size limit of a broker is processed like a small one", LARGE),
  scenario("keys", "the key of a record has no effect, and a reject keeps its exact bytes", (run) => [
    ...KEYS.map(([what, key, bad], index): PlannedRecord => ({
      ...fromTemplate(run, `key-${index}`, bad ? [what, "{", "invalid_json"] : [what, "{READING}"]),
      key: typeof key === "string" ? bytes(key) : key,
    })),
    { what: "a tombstone without a key", key: null, value: null, expected: rejected("tombstone") },
  ]),
  scenario(
    "compression",
    "record batches in every compression codec of Kafka are read",
    (run) =>
      (["none", "gzip", "snappy", "lz4", "zstd"] satisfies Codec[]).map((codec) => ({
        ...fromTemplate(run, codec, [codec, "{READING}"]),
        codec,
      })),
  ),
];
