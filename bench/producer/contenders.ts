/** Our producer, as the field runs it, and Kafka's own. */
import { join } from "node:path";
import { CLONE } from "../../stack/process/clone.ts";
import { generate, type GenerateOptions } from "../../workers/producer/generate.ts";
import { type Lab, type Program, publishAll, type Run } from "./lab.ts";
import { perfTestArgs } from "./perf_test.ts";

const CUSTOMERS = 1_000;
const INTERVAL_SECONDS = 10;
/** More than the sensors' gaps, in which there is no reading, take from the schedule. */
const SCHEDULED_FOR_EACH = 1.1;
/** Enough to know the mean size of all. */
const MEASURED = 20_000;
const LINES_A_WRITE = 10_000;

export interface Contender {
  readonly name: string;
  readonly run: (lab: Lab) => Promise<Run>;
}

/** A backfill that is as long as it takes. */
export function backfill(records: number): Contender {
  const seconds = Math.ceil(records * SCHEDULED_FOR_EACH / CUSTOMERS * INTERVAL_SECONDS);
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
      publishAll(lab, records, (topic) => ourProducer(lab, topic, [...flags, "--count", String(records)])),
  };
}

export function replay(path: string, records: number): Contender {
  return {
    name: "this producer, a recording",
    run: (lab) => publishAll(lab, records, (topic) => ourProducer(lab, topic, ["--file", path])),
  };
}

/** @param program what comes before the tool's flags @param keys how many different ones; 0 for none */
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

/** With the task's own permissions and flags. */
function ourProducer({ stack }: Lab, topic: string, flags: readonly string[]): Program {
  const { tasks } = JSON.parse(Deno.readTextFileSync(join(CLONE, "deno.json")));
  const [, ...args] = String(tasks.produce.command).split(" ");
  return {
    command: Deno.execPath(),
    args: [...args, ...flags],
    cwd: CLONE,
    env: { KAFKA_BOOTSTRAP_SERVERS: stack.kafkaBootstrapServers, KAFKA_TOPIC: topic, NO_COLOR: "1" },
  };
}

/** As the backfill's first ones are. */
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

/** Mean bytes of a key and its value. */
export function meanBytes(): number {
  let bytes = 0;
  for (const { key, value } of readings(MEASURED)) bytes += key.length + value.length;
  return Math.round(bytes / MEASURED);
}

/** Writes readings as a recording: a CSV with a header. */
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
    if (lines.length >= LINES_A_WRITE) await flush();
  }
  await flush();
}
