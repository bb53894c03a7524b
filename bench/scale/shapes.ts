/** What a record costs, by how many partitions and customers there are: processor time and write-ahead log. */
import { sayProgress as say } from "../../stack/output.ts";
import { eventually } from "../../lab/eventually.ts";
import { PipelineError } from "../../workers/_shared/errors.ts";
import type { Database } from "../../workers/_shared/postgres.ts";
import { formatTable } from "../../workers/_shared/table.ts";
import { insistOnAll, readProgress, startConsumer } from "../ingest/consumer.ts";
import { type CpuTime, cpuTime, type Lab, publishLog, spent, withDatabase } from "../ingest/lab.ts";
import { summarize } from "../lab/statistics.ts";
import type { Trial } from "./trial.ts";

interface Shape {
  readonly partitions: number;
  readonly customers: number;
}

/** As many customers in each partition, so that a batch is alike in all of them. */
const BY_PARTITIONS: readonly Shape[] = [1, 2, 6, 16, 64].map((partitions) => {
  return { partitions, customers: partitions * 100 };
});
/**
 * Each reading belongs to a minute and is perhaps its customer's latest. The more customers a partition has, the fewer
 * readings of each are in a batch, and those two rows are written for fewer readings at once.
 */
const BY_CUSTOMERS: readonly Shape[] = [
  { partitions: 6, customers: 1_000 },
  { partitions: 6, customers: 10_000 },
  { partitions: 6, customers: 100_000 },
  { partitions: 64, customers: 100_000 },
];
/** Stored before anything counts: the program's start and its just-in-time compiler are no cost of a record. */
const WARM_UP_RECORDS = 500_000;
const DEADLINE_MS = 300_000;
const STOP_DEADLINE_MS = 15_000;
const MILLION = 1_000_000;

interface Cost {
  readonly rowsPerSecond: number;
  /** Seconds for a million records. */
  readonly cpu: CpuTime;
  /** Bytes for a record. */
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
  for (let turn = 1; turn <= trial.runs; turn++) {
    for (const { shape, lab, costs } of logs) {
      if (trial.signal.aborted) return "";
      const cost = await storeAll(lab, trial.signal);
      say(
        `${turn}/${trial.runs} ${shape.partitions} partitions, ${shape.customers} customers: ` +
          `${cost.cpu.worker.toFixed(2)} + ${cost.cpu.postgres.toFixed(2)} CPU s a million`,
      );
      costs.push(cost);
    }
  }
  const rows = logs.map(({ shape, costs }) => {
    const of = (one: (cost: Cost) => number) => summarize(costs.map(one));
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
    `${trial.records} records a run (the consumer and Kafka without the first ${WARM_UP_RECORDS}), until the rollup stands ` +
    `at the last offset, median of ${trial.runs} runs\n\n` +
    formatTable(titles.map((title) => ({ title, align: "right" })), rows);
}

/** Runs one consumer on all of the log. @throws Error when a record is unaccounted for */
function storeAll({ stack, place, log }: Omit<Lab, "csvPath">, signal: AbortSignal): Promise<Cost> {
  return withDatabase(stack, async (database, url) => {
    const [start, startWal] = [await cpuTime(stack), await walBytes(database)];
    const consumer = startConsumer(stack, place.topic, url);
    try {
      const look = async (records: number, mostBehind = Infinity) => {
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
      const warm = await look(WARM_UP_RECORDS);
      const after = await look(log.records, 0);
      await insistOnAll(database, log.records);
      const records = after.rows - warm.rows;
      const { worker, kafka } = spent(warm.cpu, after.cpu);
      // From the start: what the rollup had not followed when the consumer was warm would count without its records.
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

/** Of the server, since it was made. */
export async function walBytes(database: Database): Promise<number> {
  const [row] = await database.query<{ bytes: string }>(
    "select pg_current_wal_insert_lsn() - '0/0'::pg_lsn as bytes",
  );
  return Number(row?.bytes);
}
