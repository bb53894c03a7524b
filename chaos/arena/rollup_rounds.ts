/** Disturbs the rounds of the rollup: by its lock, since a round is the work of whichever consumer has it. */
import { type Database, openDatabase } from "../../workers/_shared/postgres.ts";
import { sleep } from "../../workers/_shared/backoff.ts";
import type { Harm } from "../faults/fault.ts";

/** Longer than any fault lasts. */
const MOST_MS = 60_000;
const LIMITS = {
  statementMs: MOST_MS,
  lockMs: MOST_MS,
  idleInTransactionMs: MOST_MS,
  transactionMs: 2 * MOST_MS,
};
const LOOK_EVERY_MS = 50;

/** @returns ends the fault. A database that is away meanwhile, by another fault, has no rounds to disturb. */
export function disturbRollup(harm: Harm, databaseUrl: string): () => Promise<void> {
  const options = { connections: 1, limits: LIMITS, name: "heartbeat-chaos-rollup" };
  const database = openDatabase(databaseUrl, options);
  const over = new AbortController();
  const disturbing = (harm.kind === "hold" ? hold : terminate)(database, over.signal).catch(() => {});
  return async () => {
    over.abort();
    await disturbing;
    await database[Symbol.asyncDispose]();
  };
}

async function hold(database: Database, signal: AbortSignal): Promise<void> {
  await database.transaction(() => sleep(MOST_MS, { signal }), "select from public.rollup for update");
}

async function terminate(database: Database, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    await database.query(
      `select pg_terminate_backend(pid)
         from pg_locks
        where relation = 'public.rollup'::regclass and mode = 'RowShareLock'
          and database = (select oid from pg_database where datname = current_database())`,
    ).catch(() => {});
    await sleep(LOOK_EVERY_MS, { signal });
  }
}
