import { sayProgress as say } from "../../stack/output.ts";
import { describeError } from "../../workers/_shared/errors.ts";
import type { Database } from "../../workers/_shared/postgres.ts";
import type { PreparedLog } from "../lab/prepared_log.ts";
import type { Peer } from "../peers/mod.ts";
import { type Contender, type Lab, type Run, withDatabase } from "./lab.ts";
import { type StoredProgress, timedRun } from "./timed_run.ts";

const TABLE = "readings";
/** A peer stores at least once, so it can fail on a duplicate key. Such a run gives no figure and is repeated. */
const ATTEMPTS = 3;

export function peerContender(peer: Peer): Contender {
  return {
    name: peer.title,
    run: async (lab) => {
      for (let attempt = 1;; attempt++) {
        try {
          return await withDatabase(lab.stack, (database, url) => storeAll(peer, lab, database, url));
        } catch (error) {
          if (attempt === ATTEMPTS) throw error;
          say(`${peer.title} failed and runs again: ${describeError(error)}`);
        }
      }
    },
  };
}

function storeAll(peer: Peer, lab: Lab, database: Database, databaseUrl: string): Promise<Run> {
  const { stack, place, log } = lab;
  const bootstrapServers = stack.kafkaBootstrapServers;
  return timedRun(lab, {
    start: () =>
      peer.start({
        bootstrapServers,
        topic: place.topic,
        databaseUrl,
        table: TABLE,
        setting: "throughput",
      }),
    readStored: () => readStored(database, log),
    // `readStored` has already counted all rows.
    assertComplete: () => Promise.resolve(),
  });
}

/**
 * Counts the rows only after the last reading of each partition is stored, because counting millions of rows repeatedly
 * would slow the peer down. The count is still necessary: a peer may write batches of a partition in parallel.
 */
async function readStored(database: Database, log: PreparedLog): Promise<StoredProgress> {
  const last = log.lastReadings;
  const [row] = await database.query<{ some: boolean; last: string }>(
    `select exists (select from public.${TABLE}) as some,
            (select count(*)
               from unnest($1::text[], $2::timestamptz[]) as last (customer_id, ts)
               join public.${TABLE} using (customer_id, ts)) as last`,
    [last.map(({ customer }) => customer), last.map(({ at }) => at.toISOString())],
  );
  const begun = row?.some ?? false;
  const rows = Number(row?.last) < last.length ? 0 : await storedReadings(database);
  return { begun, rows, behind: 0, lagSeconds: 0 };
}

async function storedReadings(database: Database): Promise<number> {
  const [row] = await database.query<{ rows: string }>(`select count(*) as rows from public.${TABLE}`);
  return Number(row?.rows);
}
