import { join } from "node:path";
import { CLONE } from "../../stack/process/clone.ts";
import { generate, type GenerateOptions } from "../../workers/producer/generate.ts";
import { type Lab, type Program, publishAll, type Run } from "./lab.ts";
import { perfTestArgs } from "./perf_test.ts";

const CUSTOMERS = 1_000;
const INTERVAL_SECONDS = 10;
/** A sensor without contact sends no reading, so the backfill schedules 10 % more readings than it has to publish. */
const SCHEDULE_FACTOR = 1.1;
const MEASURED = 20_000;
const LINES_PER_WRITE = 10_000;

export interface Contender {
  readonly name: string;
  readonly run: (lab: Lab) => Promise<Run>;
}

export function backfill(records: number): Contender {
  const seconds = Math.ceil(records * SCHEDULE_FACTOR / CUSTOMERS * INTERVAL_SECONDS);
  const flags = [
    "--from",
    `${seconds}s`,
    "--interval",
    `${INTERVAL_SECONDS}s`,
    "--customers",
    String(CUSTOMERS),
  ];
  return {
    name: "this producer, a backfill",
    run: (lab) =>
      publishAll(lab, records, (topic) => thisProducer(lab, topic, [...flags, "--count", String(records)])),
  };
}

export function replay(path: string, records: number): Contender {
  return {
    name: "this producer, a recording",
    run: (lab) => publishAll(lab, records, (topic) => thisProducer(lab, topic, ["--file", path])),
  };
}

/** @param keys number of different keys; 0 for records without keys */
export function perfTest(program: Program, records: number, bytes: number, keys: number): Contender {
  return {
    name: `kafka-producer-perf-test${keys === 0 ? "" : `, ${keys} keys`}`,
    run: (lab) =>
      publishAll(lab, records, (topic) => ({
        ...program,
        args: [
          ...program.args,
          ...perfTestArgs({ bootstrapServers: lab.stack.kafkaBootstrapServers, topic, records, bytes, keys }),
        ],
      })),
  };
}

/** With the permissions and flags of the task `produce`. */
function thisProducer({ stack }: Lab, topic: string, flags: readonly string[]): Program {
  const { tasks } = JSON.parse(Deno.readTextFileSync(join(CLONE, "deno.json")));
  const [, ...args] = String(tasks.produce.command).split(" ");
  return {
    command: Deno.execPath(),
    args: [...args, ...flags],
    cwd: CLONE,
    env: { KAFKA_BOOTSTRAP_SERVERS: stack.kafkaBootstrapServers, KAFKA_TOPIC: topic, NO_COLOR: "1" },
  };
}

/** Readings like those of the backfill: the same customers and interval, but other times and heart rates. */
function* readings(count: number): Generator<{ readonly key: string; readonly value: string }> {
  const options: GenerateOptions = {
    seed: 1,
    customers: CUSTOMERS,
    startMicros: Date.UTC(2026, 0, 5) * 1000,
    spacingMicros: INTERVAL_SECONDS * 1e6 / CUSTOMERS,
    count,
    live: false,
    arrhythmiaShare: 0.1,
    dropoutShare: 0.01,
    faults: { outOfRange: 0, malformed: 0, duplicate: 0 },
  };
  for (const { key, value } of generate(options)) yield { key: String(key), value: String(value) };
}

export function meanBytes(): number {
  let bytes = 0;
  for (const { key, value } of readings(MEASURED)) bytes += key.length + value.length;
  return Math.round(bytes / MEASURED);
}

export async function writeRecording(path: string, records: number): Promise<void> {
  using file = await Deno.open(path, { write: true, create: true, truncate: true });
  const encoder = new TextEncoder();
  let lines = ["customer_id,timestamp,heart_rate"];
  const flush = async () => {
    const bytes = encoder.encode(`${lines.join("\n")}\n`);
    for (let sent = 0; sent < bytes.length;) sent += await file.write(bytes.subarray(sent));
    lines = [];
  };
  for (const { value } of readings(records)) {
    const { customer_id, timestamp, heart_rate } = JSON.parse(value);
    lines.push(`${customer_id},${timestamp},${heart_rate}`);
    if (lines.length >= LINES_PER_WRITE) await flush();
  }
  await flush();
}
