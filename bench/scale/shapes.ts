import { sayProgress as say } from "../../stack/output.ts";
import { eventually } from "../../lab/eventually.ts";
import { PipelineError } from "../../workers/_shared/errors.ts";
import type { Database } from "../../workers/_shared/postgres.ts";
import { formatTable } from "../../workers/_shared/table.ts";
import { assertAllStored, readProgress, startConsumer } from "../ingest/consumer.ts";
import { type CpuTime, cpuTime, type Lab, publishLog, spent, withDatabase } from "../ingest/lab.ts";
import { summarize } from "../lab/statistics.ts";
import type { Trial } from "./trial.ts";

interface Shape {
  readonly partitions: number;
  readonly customers: number;
}

/** Each partition has the same number of customers, so that batches are alike. */
const BY_PARTITIONS: readonly Shape[] = [1, 2, 6, 16, 64].map((partitions) => {
  return { partitions, customers: partitions * 100 };
});
/** The more customers, the fewer readings of a batch share a minute aggregate or a latest reading. */
const BY_CUSTOMERS: readonly Shape[] = [
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
  return compareShapes(trial, BY_PARTITIONS);
}

export function compareCustomers(trial: Trial): Promise<string> {
  return compareShapes(trial, BY_CUSTOMERS);
}

async function compareShapes(trial: Trial, shapes: readonly Shape[]): Promise<string> {
  const logs: { shape: Shape; lab: Omit<Lab, "csvPath">; costs: Cost[] }[] = [];
  for (const shape of shapes) {
    logs.push({ shape, lab: await publishLog(trial.stack, { ...trial, ...shape }), costs: [] });
  }
  for (let runNumber = 1; runNumber <= trial.runs; runNumber++) {
    for (const { shape, lab, costs } of logs) {
      if (trial.signal.aborted) return "";
      const cost = await storeAll(lab, trial.signal);
      say(
        `${runNumber}/${trial.runs} ${shape.partitions} partitions, ${shape.customers} customers: ` +
          `${cost.cpu.worker.toFixed(2)} + ${cost.cpu.postgres.toFixed(2)} CPU s per million`,
      );
      costs.push(cost);
    }
  }
  const rows = logs.map(({ shape, costs }) => {
    const of = (value: (cost: Cost) => number) => summarize(costs.map(value));
    const own = of(({ cpu }) => cpu.worker);
    return [
      String(shape.partitions),
      shape.customers.toLocaleString("en"),
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
    "",
    "PostgreSQL",
    "",
    "Kafka",
    "WAL bytes/record",
  ];
  return `Deno ${Deno.version.deno}, ${navigator.hardwareConcurrency} cores; CPU seconds for a million records, ` +
    `${trial.records} records a run (the consumer and Kafka without the first ${WARM_UP_RECORDS}), until the rollup has ` +
    `processed the last row, median of ${trial.runs} runs\n\n` +
    formatTable(titles.map((title) => ({ title, align: "right" })), rows);
}

/** @throws Error if records are missing */
function storeAll({ stack, place, log }: Omit<Lab, "csvPath">, signal: AbortSignal): Promise<Cost> {
  return withDatabase(stack, async (database, url) => {
    const [start, startWal] = [await cpuTime(stack), await walBytes(database)];
    const consumer = startConsumer(stack, place.topic, url);
    try {
      const waitFor = async (records: number, mostBehind = Infinity) => {
        let rows = 0;
        await eventually(`${records} records to be stored`, async () => {
          const { stored, behind } = await readProgress(database);
          rows = behind <= mostBehind ? stored : 0;
          return rows >= records || !consumer.running || signal.aborted;
        }, { withinMs: DEADLINE_MS, seen: () => rows });
        if (signal.aborted) throw new PipelineError("stack_failed", "Stopped before all was stored");
        const at = performance.now();
        if (!consumer.running) throw new Error(`the consumer ended:\n${consumer.tail.join("\n")}`);
        return { rows, at, cpu: await cpuTime(stack, consumer.pid), wal: await walBytes(database) };
      };
      const warm = await waitFor(WARM_UP_RECORDS);
      const after = await waitFor(log.records, 0);
      await assertAllStored(database, log.records);
      const records = after.rows - warm.rows;
      const { worker, kafka } = spent(warm.cpu, after.cpu);
      // Counts PostgreSQL from the start. Otherwise records of the warm-up that still wait for the rollup would count
      // in addition.
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

export async function walBytes(database: Database): Promise<number> {
  const [row] = await database.query<{ bytes: string }>(
    "select pg_current_wal_insert_lsn() - '0/0'::pg_lsn as bytes",
  );
  return Number(row?.bytes);
}
