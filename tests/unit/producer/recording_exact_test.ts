import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import fc from "fast-check";
import { createDecoder } from "../../../workers/_shared/record/decode.ts";
import { PipelineError } from "../../../workers/_shared/errors.ts";
import { type BadRow, parseMapping, type Recording } from "../../../workers/producer/recording/row.ts";
import type { OutgoingRecord } from "../../../workers/producer/publish/records.ts";
import { openRecording } from "../../../workers/producer/replay.ts";
import { timeFormat } from "../../../workers/producer/recording/time_format.ts";
import { anyText, property, timestampText } from "../../support/property.ts";

/** With these limits, the decoder accepts every heart rate and timestamp, because the producer does not check them. */
const decode = createDecoder({
  minBpm: -999_999_999,
  lowBpm: 45,
  highBpm: 180,
  maxBpm: 999_999_999,
  maxClockSkewSeconds: 0,
}, () => Date.UTC(9999, 11, 31, 23, 59, 59, 999) + 1);

interface Published {
  readonly keys: readonly string[];
  readonly values: readonly Buffer[];
  readonly skipped: ReadonlyMap<string, number>;
}

async function publish(bytes: Uint8Array | string, changes: Partial<Recording> = {}): Promise<Published> {
  const folder = await Deno.makeTempDir();
  try {
    const path = join(folder, "recording");
    await Deno.writeFile(path, Buffer.from(bytes as string));
    const recording: Recording = {
      path,
      format: "ndjson",
      mapping: parseMapping("customer_id=customer_id") ?? assert.fail(),
      time: timeFormat("iso") ?? assert.fail(),
      zone: "Z",
      speed: Infinity,
      shiftToNow: false,
      skipBad: false,
      ...changes,
    };
    const skipped = new Map<string, number>();
    const onSkipped = ({ reason }: BadRow) => void skipped.set(reason, (skipped.get(reason) ?? 0) + 1);
    const { signal } = new AbortController();
    const source = await openRecording(recording, onSkipped, { signal }) ?? assert.fail();
    const chunks = source.start(0);
    const records: OutgoingRecord[] = [];
    for (let step = await chunks.next(); step.done !== true; step = await chunks.next()) {
      records.push(...step.value);
    }
    return {
      keys: records.map(({ key }) => key.toString()),
      values: records.map(({ value }) => Buffer.from(value ?? "")),
      skipped,
    };
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** @throws if the consumer's decoder gives different results for the line and for the published record */
async function compare(line: Uint8Array): Promise<void> {
  const expected = decode(line);
  const good = '{"customer_id":"good","timestamp":"2026-01-05T00:00:00Z","heart_rate":70}\n';
  const { values, keys, skipped } = await publish(Buffer.concat([Buffer.from(good), line]), {
    skipBad: true,
  });
  const text = Buffer.from(line).toString();
  if (expected.kind === "reading") {
    assert.deepEqual(decode(values[1] ?? null), expected, text);
    assert.equal(keys[1], expected.reading.customerId, text);
  } else {
    assert.equal(values.length, 1, `published: ${text}`);
    const reason = expected.reason === "heart_rate_out_of_range" ? "invalid_heart_rate" : expected.reason;
    assert.deepEqual([...skipped], [[reason, 1]], text);
  }
}

const CUSTOMERS = [
  ..."9007199254740993 9007199254740992 9007199254740991 -9007199254740991 17.5 17.0".split(" "),
  ..."72.00000000000000001 1e-400 4.2e1 1e400 -0 true null {}".split(" "),
  ...['{"text":"5"}', '" a"', '"a "', '"\\u00a0a"', '"\\ufeffa"', '"e\\u0301"', '"a\\u0000"', '"\\ud800"'],
  ...['"\\ufffd"', '""', '" "', `"${"x".repeat(129)}"`],
];
const TIMESTAMPS = [
  '"1500-01-05T00:00:00.000001Z"',
  '"1683-12-31T23:59:59.999999Z"',
  '"2256-01-01T00:00:00.123457+02:00"',
  '"9999-12-31T23:59:59.999999Z"',
  '"0001-01-01T00:00:00.000001Z"',
  '"0001-01-01T00:00:00+00:01"',
  '"2026-01-05T00:00:00.1234567Z"',
  '" 2026-01-05T00:00:00Z"',
  '"2016-12-31T23:59:60Z"',
  ..."1767571200 null".split(" "),
];
const RATES = '72 72.0 7.2e1 72.00000000000000001 72.5 "72" null 9007199254740993'.split(" ");

Deno.test("produce --file publishes each customer, time and heart rate exactly, or refuses the line with the consumer's reject reason", async () => {
  const lines = [
    ...CUSTOMERS.map((id) => `{"customer_id":${id},"timestamp":"2026-01-05T00:00:00Z","heart_rate":70}`),
    ...TIMESTAMPS.map((time) => `{"customer_id":"a","timestamp":${time},"heart_rate":70}`),
    ...RATES.map((rate) => `{"customer_id":"a","timestamp":"2026-01-05T00:00:00Z","heart_rate":${rate}}`),
    '{"customer_id":"a","customer_id":9007199254740993,"timestamp":"2026-01-05T00:00:00Z","heart_rate":70}',
    '{"customer_id":17.5,"customer_id":"a","timestamp":"2026-01-05T00:00:00Z","heart_rate":70}',
    '{"timestamp":"2026-01-05T00:00:00Z","heart_rate":70}',
    "[1]",
    '{"customer_id":"a"',
  ];
  for (const line of lines) await compare(Buffer.from(line));
  const invalid = Buffer.from('{"customer_id":"a?","timestamp":"2026-01-05T00:00:00Z","heart_rate":70}');
  for (const byte of [0xff, 0xfe, 0xc3]) {
    invalid[invalid.indexOf("?")] = byte;
    await compare(invalid);
    invalid[invalid.indexOf(byte)] = 0x3f;
  }
});

Deno.test("produce --file publishes any customer and any time exactly, or refuses the line as the consumer does", async () => {
  const line = fc.record({
    customer_id: anyText(8),
    timestamp: timestampText(),
    heart_rate: fc.integer({ min: 0, max: 300 }),
  });
  await fc.assert(
    fc.asyncProperty(line, (record) => compare(Buffer.from(JSON.stringify(record)))),
    property("lines of a recording", 300),
  );
});

const HEADER = "customer_id,timestamp,heart_rate\n";

Deno.test("produce --file keeps blanks in the customer ids of a CSV file, and names a line that is not UTF-8", async () => {
  const { keys } = await publish(
    `${HEADER} a,2026-01-05 00:00, 70\na,2026-01-05 00:00,70\n"\u00e9 ",2026-01-05 00:00,70`,
    {
      format: "csv",
    },
  );
  assert.deepEqual(keys, [" a", "a", "\u00e9 "]);
  const latin1 = Buffer.from(`${HEADER}a,2026-01-05 00:00,70\n\u00e9,2026-01-05 00:00,70\n`, "latin1");
  await assert.rejects(publish(latin1, { format: "csv" }), /line 3, column customer_id: is not valid UTF-8/);
});

Deno.test("produce --file refuses a CSV row with more columns than the header, for example because of a decimal comma", async () => {
  const rows = `${HEADER}a,2026-01-05 00:00,72,5\nb,2026-01-05 00:00,72,\nc,2026-01-05 00:00\n`;
  const { keys, skipped } = await publish(rows, { format: "csv", skipBad: true });
  assert.deepEqual(keys, ["b"]);
  assert.deepEqual([...skipped], [["too_many_columns", 1], ["missing_heart_rate", 1]]);
});

Deno.test("produce --file removes mixed line endings from the last column of a CSV file", async () => {
  const rows = "timestamp,heart_rate,customer_id\n2026-01-05 00:00,70,a\r\n2026-01-05 00:01,70,a\n";
  assert.deepEqual((await publish(rows, { format: "csv" })).keys, ["a", "a"]);
});

Deno.test("produce --file --shift-to-now keeps the time between readings exact to the microsecond, in any year", async () => {
  const rows = `${HEADER}a,1500-01-01T00:00:00.000001Z,70\na,1500-01-01T00:00:00.000004Z,70\n`;
  const { values } = await publish(rows, { format: "csv", shiftToNow: true, speed: 1 });
  const times = values.map((value) => JSON.parse(value.toString()).timestamp);
  assert.deepEqual(times, ["1970-01-01T00:00:00.000Z", "1970-01-01T00:00:00.000003Z"]);
  const apart = `${HEADER}a,0001-01-01T00:00:00Z,70\na,9999-01-01T00:00:00Z,70\n`;
  await assert.rejects(publish(apart, { format: "csv", shiftToNow: true }), /span more years/);
});

const LINES = `${HEADER}a,2026-01-05 00:00,70\nb,2026-01-05 00:00,70\n`;

Deno.test("produce --file reads gzip files with one or several members, and UTF-16 with a byte order mark", async () => {
  const utf16 = (order: "le" | "be") => {
    const bytes = Buffer.from(`\ufeff${LINES}`, "utf16le");
    return order === "le" ? bytes : bytes.swap16();
  };
  const half = LINES.indexOf("b,");
  const files = [
    gzipSync(LINES),
    Buffer.concat([gzipSync(LINES.slice(0, half)), gzipSync(LINES.slice(half))]),
    gzipSync(utf16("le")),
    utf16("be"),
  ];
  for (const file of files) assert.deepEqual((await publish(file, { format: "csv" })).keys, ["a", "b"]);
});

Deno.test("produce --file fails and gives the reason if a file contains no reading", async () => {
  const long = `{"customer_id":"${"x".repeat(2 ** 21)}"}\n`;
  const files: readonly [file: string | Uint8Array, changes: Partial<Recording>, why: RegExp][] = [
    ["", { format: "csv" }, /it has no row/],
    [HEADER, { format: "csv" }, /it has no row/],
    ["\n \n", {}, /it has no row/],
    [LINES.replaceAll(",", ";"), { format: "csv", skipBad: true }, /header has the columns .*by commas/],
    [LINES.replaceAll("2026", "x"), { format: "csv", skipBad: true }, /all 2 rows were skipped.* line 2, /],
    [
      "a,a,timestamp,heart_rate",
      { format: "csv", mapping: parseMapping("customer_id=a") ?? assert.fail() },
      /once/,
    ],
    [gzipSync(LINES).subarray(0, 40), { format: "csv" }, /unexpected end/],
    [Buffer.from("PK\x03\x04"), {}, /is in zip format/],
    [
      `${HEADER}"${"x".repeat(2 ** 21)}`,
      { format: "csv", skipBad: true },
      /the row after line 1 has more than/,
    ],
    [long, {}, /line 1: has more than 1048576 bytes/],
    [`${long}\n[]`, { skipBad: true }, /all 2 rows were skipped/],
  ];
  for (const [file, changes, why] of files) {
    await assert.rejects(publish(file, changes), (error) => {
      assert.ok(error instanceof PipelineError, String(error));
      assert.match(error.message, why);
      return true;
    });
  }
});
