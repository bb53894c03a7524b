/** Another program on the same topic, into a reference table of its own. */
import { sleep } from "../../workers/_shared/backoff.ts";
import type { Database } from "../../workers/_shared/postgres.ts";
import type { PreparedLog } from "../lab/prepared_log.ts";
import { sampleProcess } from "../lab/process_sample.ts";
import type { Peer } from "../peers/mod.ts";
import { type Contender, cpuTime, type Lab, type Run, spent, withDatabase } from "./lab.ts";

const TABLE = "readings";
const LOOK_EVERY_MS = 50;
const STOP_DEADLINE_MS = 15_000;
const DEADLINE_MS = 600_000;

/** @param peer prepared */
export function peerContender(peer: Peer): Contender {
  return {
    name: peer.title,
    run: (lab) => withDatabase(lab.stack, (database, url) => storeAll(peer, lab, database, url)),
  };
}

async function storeAll(
  peer: Peer,
  { stack, place, log }: Lab,
  database: Database,
  url: string,
): Promise<Run> {
  const before = await cpuTime(stack);
  const began = performance.now();
  const child = await peer.start({
    bootstrapServers: stack.kafkaBootstrapServers,
    topic: place.topic,
    databaseUrl: url,
    table: TABLE,
    setting: "throughput",
  });
  try {
    let firstAt: number | undefined;
    for (;;) {
      const { some, all } = await look(database, log);
      const at = performance.now();
      if (some) firstAt ??= at;
      if (firstAt !== undefined && all) {
        const cpu = spent(before, await cpuTime(stack, child.pid));
        const memory = await sampleProcess(child.pid);
        await insistOnAll(database, log.records);
        return {
          rowsPerSecond: log.records / (at - firstAt) * 1000,
          seconds: (at - began) / 1000,
          cpu,
          peakMb: memory && memory.peakKb / 1024,
        };
      }
      if (!child.running || at - began > DEADLINE_MS) {
        throw new Error(`${peer.title} did not store everything; its last words:\n${child.tail.join("\n")}`);
      }
      await sleep(LOOK_EVERY_MS, { signal: AbortSignal.timeout(DEADLINE_MS) });
    }
  } finally {
    await child.stop(STOP_DEADLINE_MS);
  }
}

/** Counting millions of rows again and again would slow down what is measured. */
async function look(database: Database, log: PreparedLog): Promise<{ some: boolean; all: boolean }> {
  const last = log.lastReadings;
  const [row] = await database.query<{ some: boolean; last: string }>(
    `select exists (select from public.${TABLE}) as some,
            (select count(*)
               from unnest($1::text[], $2::timestamptz[]) as last (customer_id, ts)
               join public.${TABLE} using (customer_id, ts)) as last`,
    [last.map(({ customer }) => customer), last.map(({ at }) => at.toISOString())],
  );
  return { some: row?.some ?? false, all: Number(row?.last) === last.length };
}

async function insistOnAll(database: Database, records: number): Promise<void> {
  const [row] = await database.query<{ rows: string }>(`select count(*) as rows from public.${TABLE}`);
  if (Number(row?.rows) !== records) throw new Error(`the table has ${row?.rows} rows, expected ${records}`);
}
