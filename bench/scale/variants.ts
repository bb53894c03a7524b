import { sayProgress as say } from "../../stack/output.ts";
import type { Child } from "../../stack/process/child.ts";
import { eventually } from "../../lab/eventually.ts";
import { PipelineError } from "../../workers/_shared/errors.ts";
import type { Database } from "../../workers/_shared/postgres.ts";
import { formatTable } from "../../workers/_shared/table.ts";
import { assertAllStored, readProgress, startConsumer } from "../ingest/consumer.ts";
import { type CpuTime, cpuTime, type Lab, publishLog, spent, withDatabase } from "../ingest/lab.ts";
import { summarize } from "../lab/statistics.ts";
import type { Trial } from "./trial.ts";

interface Variant {
  readonly partitions: number;
  readonly customers: number;
}

/** Each partition has the same number of customers, so that batches are alike. */
const BY_PARTITIONS: readonly Variant[] = [1, 2, 6, 16, 64].map((partitions) => {
  return { partitions, customers: partitions * 100 };
});
/** The more customers, the fewer readings of a batch share a minute aggregate or a latest reading. */
const BY_CUSTOMERS: readonly Variant[] = [
  { partitions: 6, customers: 1_000 },
  { partitions: 6, customers: 10_000 },
  { partitions: 6, customers: 100_000 },
  { partitions: 64, customers: 100_000 },
];
/** These records are stored before the measurement, because the cost of the start is no cost of a record. */
const WARM_UP_RECORDS = 500_000;
const DEADLINE_MS = 300_000;
const STOP_DEADLINE_MS = 15_000;
const MILLION = 1_000_000;

interface Cost {
  readonly rowsPerSecond: number;
  /** CPU seconds per million records. */
  readonly cpu: CpuTime;
  /** Bytes of write-ahead log per record. */
  readonly wal: number;
}

export function comparePartitions(trial: Trial): Promise<string> {
  return compareVariants(trial, BY_PARTITIONS);
}

export function compareCustomers(trial: Trial): Promise<string> {
  return compareVariants(trial, BY_CUSTOMERS);
}

async function compareVariants(trial: Trial, variants: readonly Variant[]): Promise<string> {
  const logs: { variant: Variant; lab: Omit<Lab, "csvPath">; costs: Cost[] }[] = [];
  for (const variant of variants) {
    logs.push({ variant, lab: await publishLog(trial.stack, { ...trial, ...variant }), costs: [] });
  }
  for (let runNumber = 1; runNumber <= trial.runs; runNumber++) {
    for (const { variant, lab, costs } of logs) {
      if (trial.signal.aborted) return "";
      const cost = await storeAll(lab, trial.signal);
      say(
        `run ${runNumber} of ${trial.runs}, ${variant.partitions} partitions, ${variant.customers} customers: ` +
          `consumer ${cost.cpu.worker.toFixed(2)}, PostgreSQL ${
            cost.cpu.postgres.toFixed(2)
          } CPU s per million records`,
      );
      costs.push(cost);
    }
  }
  const rows = logs.map(({ variant, costs }) => {
    const of = (value: (cost: Cost) => number) => summarize(costs.map(value));
    const own = of(({ cpu }) => cpu.worker);
    return [
      String(variant.partitions),
      variant.customers.toLocaleString("en"),
      Math.round(of(({ rowsPerSecond }) => rowsPerSecond).median).toLocaleString("en"),
      own.median.toFixed(2),
      `±${(own.spread * 100).toFixed(0)} %`,
      of(({ cpu }) => cpu.postgres).median.toFixed(2),
      `±${(of(({ cpu }) => cpu.postgres).spread * 100).toFixed(0)} %`,
      of(({ cpu }) => cpu.kafka).median.toFixed(2),
      of(({ wal }) => wal).median.toFixed(0),
    ];
  });
  const titles = [
    "partitions",
    "customers",
    "rows/s",
    "consumer",
    "spread",
    "PostgreSQL",
    "spread",
    "Kafka",
    "WAL bytes/record",
  ];
  return `Deno ${Deno.version.deno}, ${navigator.hardwareConcurrency} cores\n` +
    `consumer, PostgreSQL, Kafka: CPU seconds for a million records; median of ${trial.runs} runs of ${trial.records} records\n` +
    `A run ends when the rollup has processed the last row. For the consumer and Kafka, the first ${WARM_UP_RECORDS} records ` +
    `are not counted.\n\n` +
    formatTable(titles.map((title) => ({ title, align: "right" })), rows);
}

/**
 * Measures the consumer and Kafka from the end of the warm-up, and PostgreSQL and its WAL from the start: the rollup applies some
 * records of the warm-up only later, so their cost would be included, but not their number.
 *
 * @throws Error if records are missing
 */
function storeAll({ stack, place, log }: Omit<Lab, "csvPath">, signal: AbortSignal): Promise<Cost> {
  return withDatabase(stack, async (database, url) => {
    const [start, startWal] = [await cpuTime(stack), await walBytes(database)];
    const consumer = startConsumer(stack, place.topic, url);
    const untilStored = async (records: number, maxBehind: number) => {
      const rows = await storedRows(database, consumer, { records, maxBehind, signal });
      const at = performance.now();
      return { rows, at, cpu: await cpuTime(stack, consumer.pid), wal: await walBytes(database) };
    };
    try {
      const warm = await untilStored(WARM_UP_RECORDS, Infinity);
      const after = await untilStored(log.records, 0);
      await assertAllStored(database, log.records);
      const records = after.rows - warm.rows;
      const { worker, kafka } = spent(warm.cpu, after.cpu);
      const { postgres } = spent(start, after.cpu);
      return {
        rowsPerSecond: records / (after.at - warm.at) * 1000,
        cpu: {
          worker: worker / records * MILLION,
          postgres: postgres / after.rows * MILLION,
          kafka: kafka / records * MILLION,
        },
        wal: (after.wal - startWal) / after.rows,
      };
    } finally {
      await consumer.stop(STOP_DEADLINE_MS);
    }
  });
}

/**
 * Waits until so many records are stored and the rollup is at most `maxBehind` offsets behind.
 *
 * @throws Error if the consumer ends, PipelineError if the signal aborts
 */
async function storedRows(
  database: Database,
  consumer: Child,
  { records, maxBehind, signal }: { records: number; maxBehind: number; signal: AbortSignal },
): Promise<number> {
  let rows = 0;
  await eventually(`${records} records to be stored`, async () => {
    const { stored, behind } = await readProgress(database);
    rows = stored;
    return (stored >= records && behind <= maxBehind) || !consumer.running || signal.aborted;
  }, { withinMs: DEADLINE_MS, seen: () => rows });
  if (signal.aborted) throw new PipelineError("stack_failed", "Stopped before all was stored");
  if (!consumer.running) throw new Error(`the consumer ended:\n${consumer.tail.join("\n")}`);
  return rows;
}

export async function walBytes(database: Database): Promise<number> {
  const [row] = await database.query<{ bytes: string }>(
    "select pg_current_wal_insert_lsn() - '0/0'::pg_lsn as bytes",
  );
  return Number(row?.bytes);
}
