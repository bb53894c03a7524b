/** One consumer against two in a group, each held to the same share of a core, so that nothing else is full. */
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
/** More than two consumers store before and while they are watched. */
const BACKLOG = 6_000_000;
/** For each consumer, without a quota: until its just-in-time compiler has done its work. */
const WARM_UP_RECORDS = 500_000;
/** Until what was fetched and begun at full speed is stored. */
const SETTLE_MS = 4_000;
const STOP_DEADLINE_MS = 15_000;
const WARM_DEADLINE_MS = 180_000;

interface Watched {
  readonly rowsPerSecond: number;
  /** Cores in use on average. */
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
  const watched = new Map<number, Watched[]>(SIZES.map((size) => [size, []]));
  for (let turn = 1; turn <= runs; turn++) {
    for (const size of SIZES) {
      if (trial.signal.aborted) return "";
      const took = await watch(trial, place, size);
      say(`${turn}/${runs} ${size} at ${share} % of a core: ${Math.round(took.rowsPerSecond)} rows/s`);
      watched.get(size)?.push(took);
    }
  }
  const median = (size: number, of: (one: Watched) => number) => summarize((watched.get(size) ?? []).map(of));
  const alone = median(1, ({ rowsPerSecond }) => rowsPerSecond).median;
  const rows = SIZES.map((size) => {
    const rate = median(size, ({ rowsPerSecond }) => rowsPerSecond);
    return [
      String(size),
      Math.round(rate.median).toLocaleString("en"),
      `±${(rate.spread * 100).toFixed(0)} %`,
      (rate.median / alone).toFixed(2),
      ...[
        median(size, ({ consumers }) => consumers),
        median(size, ({ postgres }) => postgres),
        median(size, ({ kafka }) => kafka),
      ].map((cores) => cores.median.toFixed(2)),
    ];
  });
  const titles = ["consumers", "rows/s", "spread", "ratio", "their cores", "PostgreSQL's", "Kafka's"];
  return `Deno ${Deno.version.deno}, ${navigator.hardwareConcurrency} cores; each consumer held to ${share} % of one, ` +
    `${PARTITIONS} partitions, a backlog of ${log.records} records, ${seconds} s watched, median of ${runs} runs\n\n` +
    formatTable(titles.map((title) => ({ title, align: "right" })), rows);
}

function watch({ stack, share, seconds, signal }: Trial, place: Place, size: number): Promise<Watched> {
  return withDatabase(stack, async (database, url) => {
    await using held = new AsyncDisposableStack();
    const consumers: Child[] = [];
    for (let index = 0; index < size; index++) {
      const consumer = startConsumer(stack, place.topic, url, `consumer-${index}`);
      held.defer(() => consumer.stop(STOP_DEADLINE_MS));
      consumers.push(consumer);
    }
    const groupId = new URL(url).pathname.slice(1);
    const shared = await eventually(
      "the consumers to share the partitions",
      () => sharedOut(place, groupId, size),
    );
    await warm(database, consumers);
    // Let go before they are asked to stop: ending takes work, too.
    for (const [index, { pid }] of consumers.entries()) {
      const quota = held.use(await cpuQuota(`heartbeat-bench-${Deno.pid}-${index}`, share / 100));
      await quota.hold(pid);
    }
    await sleep(SETTLE_MS, { signal });

    const look = async () => ({
      rows: (await readProgress(database)).stored,
      at: performance.now(),
      cpu: await cpuTime(stack),
      own: await Promise.all(consumers.map(({ pid }) => cpuSeconds(pid))),
    });
    const before = await look();
    await sleep(seconds * 1000, { signal });
    const after = await look();
    await insistOnWork(place, database);
    if (await sharedOut(place, groupId, size) !== shared) {
      throw new Error("the group shared the partitions anew while it was watched");
    }
    const took = (after.at - before.at) / 1000;
    const sum = (numbers: readonly number[]) => numbers.reduce((total, one) => total + one, 0);
    return {
      rowsPerSecond: (after.rows - before.rows) / took,
      consumers: (sum(after.own) - sum(before.own)) / took,
      postgres: (after.cpu.postgres - before.cpu.postgres) / took,
      kafka: (after.cpu.kafka - before.cpu.kafka) / took,
    };
  });
}

/** Who has which partitions, as the group's coordinator says; undefined until each member has as many as the others. */
async function sharedOut(place: Place, groupId: string, size: number): Promise<string | undefined> {
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

/** A partition without records that wait is work that somebody did not have. */
async function insistOnWork(place: Place, database: Database): Promise<void> {
  const ends = await place.ends();
  const rows = await database.query<{ partition: number; next: string }>(
    "select kafka_partition as partition, next_offset as next from public.ingest_offsets",
  );
  if (rows.some(({ partition, next }) => Number(next) >= (ends[partition] ?? 0))) {
    throw new Error("a partition was read to its end while the group was watched: the backlog is too small");
  }
}
