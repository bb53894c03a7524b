import type { Child } from "../../stack/process/child.ts";
import { sayProgress as say } from "../../stack/output.ts";
import { eventually } from "../../lab/eventually.ts";
import type { Place } from "../../lab/place.ts";
import { sleep } from "../../workers/_shared/backoff.ts";
import type { Database } from "../../workers/_shared/postgres.ts";
import { formatTable } from "../../workers/_shared/table.ts";
import { readProgress, startConsumer } from "../ingest/consumer.ts";
import { cpuTime, publishLog, withDatabase } from "../ingest/lab.ts";
import { cpuSeconds } from "../lab/cpu_time.ts";
import { cpuQuota } from "../lab/cpu_quota.ts";
import { summarize } from "../lab/statistics.ts";
import type { Trial } from "./trial.ts";

const SIZES = [1, 2];
const PARTITIONS = 6;
/** More records than two consumers store during warm-up and measurement. */
const BACKLOG = 6_000_000;
/** Each consumer first stores this many without a quota. By then its just-in-time compiler is done. */
const WARM_UP_RECORDS = 500_000;
/** After this time, the batches that were fetched at full speed are stored. */
const SETTLE_MS = 4_000;
const STOP_DEADLINE_MS = 15_000;
const WARM_DEADLINE_MS = 180_000;

interface Measurement {
  readonly rowsPerSecond: number;
  /** Mean number of cores that the consumers use. */
  readonly consumers: number;
  readonly postgres: number;
  readonly kafka: number;
}

export async function compareGroups(trial: Trial): Promise<string> {
  const { runs, share, seconds } = trial;
  const { place, log } = await publishLog(trial.stack, {
    ...trial,
    records: BACKLOG,
    partitions: PARTITIONS,
  });
  const measured = new Map<number, Measurement[]>(SIZES.map((size) => [size, []]));
  for (let runNumber = 1; runNumber <= runs; runNumber++) {
    for (const size of SIZES) {
      if (trial.signal.aborted) return "";
      const took = await measure(trial, place, size);
      say(
        `run ${runNumber} of ${runs}, consumers: ${size}, each at ${share} % of a core: ${
          Math.round(took.rowsPerSecond)
        } rows/s`,
      );
      measured.get(size)?.push(took);
    }
  }
  const summaryOf = (size: number, of: (run: Measurement) => number) =>
    summarize((measured.get(size) ?? []).map(of));
  const alone = summaryOf(1, ({ rowsPerSecond }) => rowsPerSecond).median;
  const rows = SIZES.map((size) => {
    const rate = summaryOf(size, ({ rowsPerSecond }) => rowsPerSecond);
    return [
      String(size),
      Math.round(rate.median).toLocaleString("en"),
      `±${(rate.spread * 100).toFixed(0)} %`,
      (rate.median / alone).toFixed(2),
      ...[
        summaryOf(size, ({ consumers }) => consumers),
        summaryOf(size, ({ postgres }) => postgres),
        summaryOf(size, ({ kafka }) => kafka),
      ].map((cores) => cores.median.toFixed(2)),
    ];
  });
  const titles = ["consumers", "rows/s", "spread", "ratio", "cores: consumers", "PostgreSQL", "Kafka"];
  return `Deno ${Deno.version.deno}, ${navigator.hardwareConcurrency} cores; each consumer limited to ${share} % of a core, ` +
    `${PARTITIONS} partitions, a backlog of ${log.records} records, measured for ${seconds} s, median of ${runs} runs\n\n` +
    formatTable(titles.map((title) => ({ title, align: "right" })), rows);
}

function measure({ stack, share, seconds, signal }: Trial, place: Place, size: number): Promise<Measurement> {
  return withDatabase(stack, async (database, url) => {
    await using held = new AsyncDisposableStack();
    const consumers: Child[] = [];
    for (let index = 0; index < size; index++) {
      const consumer = startConsumer(stack, place.topic, url, `consumer-${index}`);
      held.defer(() => consumer.stop(STOP_DEADLINE_MS));
      consumers.push(consumer);
    }
    // `startConsumer` uses the database's name as the group id.
    const groupId = new URL(url).pathname.slice(1);
    const assignment = await eventually(
      "the consumers to share the partitions",
      () => evenAssignment(place, groupId, size),
    );
    await warm(database, consumers);
    // `held` releases the quotas before it stops the consumers, because a stop needs CPU time too.
    for (const [index, { pid }] of consumers.entries()) {
      const quota = held.use(await cpuQuota(`heartbeat-bench-${Deno.pid}-${index}`, share / 100));
      await quota.hold(pid);
    }
    await sleep(SETTLE_MS, { signal });

    const sample = async () => ({
      rows: (await readProgress(database)).stored,
      at: performance.now(),
      cpu: await cpuTime(stack),
      own: await Promise.all(consumers.map(({ pid }) => cpuSeconds(pid))),
    });
    const before = await sample();
    await sleep(seconds * 1000, { signal });
    const after = await sample();
    await assertBacklogLeft(place, database);
    if (await evenAssignment(place, groupId, size) !== assignment) {
      throw new Error("the group rebalanced during the measurement");
    }
    const took = (after.at - before.at) / 1000;
    const sum = (numbers: readonly number[]) => numbers.reduce((total, number) => total + number, 0);
    return {
      rowsPerSecond: (after.rows - before.rows) / took,
      consumers: (sum(after.own) - sum(before.own)) / took,
      postgres: (after.cpu.postgres - before.cpu.postgres) / took,
      kafka: (after.cpu.kafka - before.cpu.kafka) / took,
    };
  });
}

/** @returns the assignment as the coordinator knows it; undefined unless all members have equally many partitions */
async function evenAssignment(place: Place, groupId: string, size: number): Promise<string | undefined> {
  const group = (await place.admin.describeGroups({ groups: [groupId] })).get(groupId);
  const members = [...group?.members ?? []].map(([id, { assignments }]) => {
    return { id, partitions: assignments?.get(place.topic)?.partitions ?? [] };
  });
  const even = members.every(({ partitions }) => partitions.length === PARTITIONS / size);
  return members.length === size && even ? JSON.stringify(members) : undefined;
}

async function warm(database: Database, consumers: readonly Child[]): Promise<void> {
  let rows = 0;
  await eventually("the consumers to be warm", async () => {
    rows = (await readProgress(database)).stored;
    return rows >= WARM_UP_RECORDS * consumers.length;
  }, {
    withinMs: WARM_DEADLINE_MS,
    seen: () => `${rows} rows; ${consumers.flatMap(({ tail }) => tail).join("\n")}`,
  });
}

/** If a partition had no waiting records, its consumer had too little work. */
async function assertBacklogLeft(place: Place, database: Database): Promise<void> {
  const ends = await place.ends();
  const rows = await database.query<{ partition: number; next: string }>(
    "select kafka_partition as partition, next_offset as next from public.ingest_offsets",
  );
  if (rows.some(({ partition, next }) => Number(next) >= (ends[partition] ?? 0))) {
    throw new Error("a partition was read to its end during the measurement: the backlog is too small");
  }
}
