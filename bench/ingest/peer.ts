/** Another program on the same topic, into a reference table of its own. */
import { sayProgress as say } from "../../stack/output.ts";
import { describeError } from "../../workers/_shared/errors.ts";
import type { Database } from "../../workers/_shared/postgres.ts";
import type { PreparedLog } from "../lab/prepared_log.ts";
import type { Peer } from "../peers/mod.ts";
import { type Contender, type Lab, type Run, withDatabase } from "./lab.ts";
import { type Seen, timedRun } from "./timed_run.ts";

const TABLE = "readings";
const ATTEMPTS = 3;

/** @param peer prepared */
export function peerContender(peer: Peer): Contender {
  return {
    name: peer.title,
    run: async (lab) => {
      for (let attempt = 1;; attempt++) {
        try {
          return await withDatabase(lab.stack, (database, url) => storeAll(peer, lab, database, url));
        } catch (error) {
          // One that leaves readings out gives no figure, and is not what is measured here.
          if (attempt === ATTEMPTS) throw error;
          say(`${peer.title}, once more: ${describeError(error)}`);
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
    look: () => look(database, log),
    // Counted when the last look saw them all.
    insist: () => Promise.resolve(),
  });
}

/** Counting millions of rows again and again would slow down what is measured. */
async function look(database: Database, log: PreparedLog): Promise<Seen> {
  const last = log.lastReadings;
  const [row] = await database.query<{ some: boolean; last: string }>(
    `select exists (select from public.${TABLE}) as some,
            (select count(*)
               from unnest($1::text[], $2::timestamptz[]) as last (customer_id, ts)
               join public.${TABLE} using (customer_id, ts)) as last`,
    [last.map(({ customer }) => customer), last.map(({ at }) => at.toISOString())],
  );
  const begun = row?.some ?? false;
  // Batches of a partition may be written side by side, so the last reading alone proves nothing.
  const rows = Number(row?.last) < last.length ? 0 : await storedReadings(database);
  return { begun, rows, behind: 0, lagSeconds: 0 };
}

async function storedReadings(database: Database): Promise<number> {
  const [row] = await database.query<{ rows: string }>(`select count(*) as rows from public.${TABLE}`);
  return Number(row?.rows);
}
