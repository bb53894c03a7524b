import assert from "node:assert/strict";
import { join } from "node:path";
import { PipelineError } from "../../../workers/_shared/errors.ts";
import { readRecording } from "../../../workers/producer/recording/recording.ts";
import { parseMapping, type Reading, type Recording } from "../../../workers/producer/recording/row.ts";
import { timeFormat } from "../../../workers/producer/recording/time_format.ts";

const START_MICROS = Date.UTC(2026, 0, 5) * 1000;

// The text is several times as long as one read. Some multi-byte characters of the customers are split between two reads.
const READINGS = Array.from({ length: 20_000 }, (_, number) => ({
  customerId: `Zo\u00eb \u{1F493} "${number % 97}", ${"x".repeat(number % 13)}.`,
  micros: BigInt(START_MICROS + number * 1_000_000),
  heartRate: 60 + number % 100,
}));

function lineOf(
  format: "csv" | "ndjson",
  { customerId, micros, heartRate }: typeof READINGS[number],
): string {
  const timestamp = new Date(Number(micros / 1000n)).toISOString();
  return format === "csv"
    ? `"${customerId.replaceAll('"', '""')}",${timestamp},${heartRate}`
    : JSON.stringify({ customer_id: customerId, timestamp, heart_rate: heartRate });
}

function textOf(format: "csv" | "ndjson", end: string): string {
  const header = format === "csv" ? ["\ufeffcustomer_id,timestamp,heart_rate"] : [];
  return [...header, ...READINGS.map((reading) => lineOf(format, reading))].join(end);
}

interface Read {
  readonly readings: readonly Reading[];
  readonly bad: number;
}

async function read(text: string, format: "csv" | "ndjson", changes: Partial<Recording> = {}): Promise<Read> {
  const folder = await Deno.makeTempDir();
  try {
    const path = join(folder, "recording");
    await Deno.writeTextFile(path, text);
    const recording = {
      path,
      format,
      mapping: parseMapping("customer_id=customer_id") ?? assert.fail(),
      time: timeFormat("iso") ?? assert.fail(),
      zone: "Z",
      speed: 1,
      shiftToNow: false,
      skipBad: false,
      ...changes,
    };
    let bad = 0;
    const readings: Reading[] = [];
    const chunks = readRecording(recording, () => void bad++, { published: false });
    for await (const chunk of chunks) readings.push(...chunk);
    return { readings, bad };
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

for (const format of ["csv", "ndjson"] as const) {
  for (const [name, end] of [["\\n", "\n"], ["\\r\\n", "\r\n"]] as const) {
    Deno.test(`readRecording() reads every row of a large ${format} file with ${name} line endings, in order`, async () => {
      assert.deepEqual((await read(textOf(format, end), format)).readings, READINGS);
      assert.deepEqual((await read(textOf(format, end) + end + end, format)).readings, READINGS);
    });
  }

  Deno.test(`readRecording() stops after the given number of readings of a ${format} file, even if bad rows follow`, async () => {
    const broken = `${textOf(format, "\n")}\nx"y\n`;
    for (const count of [1, 3_000, 20_000]) {
      const { readings } = await read(broken, format, { count });
      assert.deepEqual(readings, READINGS.slice(0, count));
    }
    await assert.rejects(read(broken, format), PipelineError);
  });

  Deno.test(`readRecording() names the line of a bad row of a ${format} file, or skips and counts the row`, async () => {
    const lines = textOf(format, "\n").split("\n");
    lines.splice(15_000, 0, format === "csv" ? "x,yesterday,80" : '{"customer_id":"x"', "");
    const text = lines.join("\n");
    await assert.rejects(read(text, format), /recording, line 15001[,:]/);
    assert.deepEqual(await read(text, format, { skipBad: true }), { readings: READINGS, bad: 1 });
  });
}

Deno.test("readRecording() reports a file that it cannot read", async () => {
  const missing = read("", "csv", { path: "/nowhere/at/all.csv" });
  await assert.rejects(missing, /Cannot read \/nowhere\/at\/all.csv: .*, expected a readable file/);
});
