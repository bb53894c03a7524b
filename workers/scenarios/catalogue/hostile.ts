/** Records that mean harm, or look like it. */
import {
  bytes,
  type Codec,
  type Expected,
  type PlannedRecord,
  raw,
  reading,
  rejected,
  type Run,
  type Scenario,
  stored,
} from "../scenario.ts";

const TS = "2026-07-14T09:30:00.000000Z";

/** Under the million bytes that brokers accept by default. */
const LARGE_BYTES = 900_000;
const DEPTH = 10_000;

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

/** `ID` stands for the customer, `READING` for the three members of a valid record of theirs. */
function hostile(
  run: Run,
  name: string,
  what: string,
  template: string,
  reason?: Parameters<typeof rejected>[0],
) {
  const customer = run.customer(`hostile-${name}`);
  const members = `"customer_id":"${customer}","timestamp":"${TS}","heart_rate":${run.heartRate}`;
  const value = template.replaceAll("READING", members).replaceAll("ID", customer);
  const expected: Expected = reason === undefined ? stored(customer, TS, run.heartRate) : rejected(reason);
  return raw(what, customer, value, expected, customer);
}

function garbage(): Uint8Array {
  return Uint8Array.from({ length: LARGE_BYTES }, (_, index) => (index * 197 + (index >> 8)) & 0xff);
}

function keyed(record: PlannedRecord, key: Uint8Array | null): PlannedRecord {
  return { ...record, key };
}

export const HOSTILE: readonly Scenario[] = [
  {
    name: "injection",
    promise: "a customer's id is data, whatever it says",
    records: (run) =>
      INJECTIONS.map(([what, text]) => {
        const customer = run.customer(text);
        const members = { timestamp: TS, heart_rate: run.heartRate };
        return reading(what, customer, members, stored(customer, TS, run.heartRate));
      }),
  },
  {
    name: "unstorable_text",
    promise: "what a PostgreSQL text cannot hold is rejected before it gets there",
    records: (run) => {
      const members = `"timestamp":"${TS}","heart_rate":${run.heartRate}`;
      const id = (name: string, what: string, escaped: string) =>
        hostile(run, name, what, `{"customer_id":"ID${escaped}",${members}}`, "invalid_customer_id");
      return [
        id("nul", "an escaped NUL", "\\u0000"),
        id("high", "an unpaired high surrogate", "\\ud83d"),
        id("low", "an unpaired low surrogate", "\\udc00"),
        id("swapped", "a pair the wrong way round", "\\udc00\\ud83d"),
        hostile(
          run,
          "raw-nul",
          "a NUL byte in a text",
          `{"customer_id":"ID\u0000",${members}}`,
          "invalid_json",
        ),
        hostile(run, "extra-nul", "a NUL in a member of no interest", '{READING,"note":"\\u0000\\ud800"}'),
      ];
    },
  },
  {
    name: "hostile_json",
    promise: "JSON that plays tricks does no harm",
    records: (run) => [
      hostile(run, "extra", "members of no interest", '{READING,"device":{"id":7},"battery":0.5}'),
      hostile(run, "proto", "a reading in __proto__", '{"__proto__":{READING}}', "missing_customer_id"),
      hostile(
        run,
        "proto-rate",
        "a heart rate in __proto__",
        `{"customer_id":"ID","timestamp":"${TS}","__proto__":{"heart_rate":${run.heartRate}}}`,
        "missing_heart_rate",
      ),
      hostile(
        run,
        "proto-beside",
        "__proto__ and constructor beside a reading",
        '{READING,"__proto__":{"heart_rate":1},"constructor":{"prototype":{"heart_rate":1}}}',
      ),
      hostile(run, "infinite", "1e999 beats", '{READING,"heart_rate":1e999}', "heart_rate_out_of_range"),
      hostile(run, "last", "a member twice: the last counts", '{"heart_rate":-1,READING}'),
      hostile(
        run,
        "deep",
        "deep nesting beside a reading",
        `{READING,"x":${"[".repeat(DEPTH)}${"]".repeat(DEPTH)}}`,
      ),
      hostile(run, "bottomless", "brackets that never close", "[".repeat(DEPTH), "invalid_json"),
      hostile(
        run,
        "deep-id",
        "deep nesting as a customer",
        `{"customer_id":${"[".repeat(DEPTH)}${"]".repeat(DEPTH)}}`,
        "invalid_customer_id",
      ),
      hostile(
        run,
        "escaped",
        "member names in escapes",
        '{"\\u0063ustomer_id":"ID","timestam\\u0070":"' + TS + `","heart_rate":${run.heartRate}}`,
      ),
    ],
  },
  {
    name: "large",
    promise: "a record just under the broker's limit is handled like a small one",
    records: (run) => {
      const customer = run.customer("large");
      const members = { timestamp: TS, heart_rate: run.heartRate };
      const bulky = { ...members, note: "x".repeat(LARGE_BYTES) };
      return [
        reading("900 kB of a member of no interest", customer, bulky, stored(customer, TS, run.heartRate)),
        raw("900 kB of bytes", customer, garbage(), rejected("invalid_utf8"), customer),
        raw(
          "900 kB of an unfinished text",
          customer,
          `"${"x".repeat(LARGE_BYTES)}`,
          rejected("invalid_json"),
          customer,
        ),
      ];
    },
  },
  {
    name: "keys",
    promise: "a record's key decides nothing, and a reject keeps its exact bytes",
    records: (run) => [
      keyed(hostile(run, "keyless", "no key", "{READING}"), null),
      keyed(hostile(run, "empty-key", "an empty key", "{READING}"), new Uint8Array()),
      keyed(
        hostile(run, "other-key", "somebody else's key", "{READING}"),
        bytes(run.customer("somebody-else")),
      ),
      keyed(hostile(run, "binary-key", "a binary key", "{READING}"), Uint8Array.of(0, 0xff, 0xc0, 0x80)),
      keyed(hostile(run, "bad-keyless", "a reject without a key", "{", "invalid_json"), null),
      keyed(
        hostile(run, "bad-empty-key", "a reject with an empty key", "{", "invalid_json"),
        new Uint8Array(),
      ),
      keyed(
        hostile(run, "bad-binary-key", "a reject with a binary key", "{", "invalid_json"),
        Uint8Array.of(0, 0xff),
      ),
      raw("a tombstone without a key", null, null, rejected("tombstone")),
    ],
  },
  {
    name: "compression",
    promise: "batches in every codec of a Kafka client are read",
    records: (run) =>
      (["none", "gzip", "snappy", "lz4", "zstd"] satisfies Codec[]).map((codec) => ({
        ...hostile(run, codec, codec, "{READING}"),
        codec,
      })),
  },
];
