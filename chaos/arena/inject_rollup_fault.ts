/** Disturbs rollup rounds through the row lock that each round takes, because any of the consumers can run the round. */
import { type Database, openDatabase } from "../../workers/_shared/postgres.ts";
import { sleep } from "../../workers/_shared/backoff.ts";
import type { Action } from "../faults/fault.ts";

/** Longer than the longest rollup fault (faults/schedule.ts). */
const MOST_MS = 60_000;
const LIMITS = {
  statementMs: MOST_MS,
  lockMs: MOST_MS,
  idleInTransactionMs: MOST_MS,
  transactionMs: 2 * MOST_MS,
};
const TERMINATE_EVERY_MS = 50;

/**
 * Ignores database errors, because another fault may have stopped the database.
 *
 * @returns a function that ends the fault
 */
export function injectRollupFault(action: Action, databaseUrl: string): () => Promise<void> {
  const options = { connections: 1, limits: LIMITS, name: "heartbeat-chaos-rollup" };
  const database = openDatabase(databaseUrl, options);
  const over = new AbortController();
  const disturbing = (action.kind === "hold" ? hold : terminate)(database, over.signal).catch(() => {});
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
    await sleep(TERMINATE_EVERY_MS, { signal });
  }
}
