/** Injects faults into rollup rounds by the lock that each round takes: any consumer can be the one in a round. */
import { type Database, openDatabase } from "../../workers/_shared/postgres.ts";
import { sleep } from "../../workers/_shared/backoff.ts";
import type { Action } from "../faults/fault.ts";

/** Longer than the longest fault. */
const MOST_MS = 60_000;
const LIMITS = {
  statementMs: MOST_MS,
  lockMs: MOST_MS,
  idleInTransactionMs: MOST_MS,
  transactionMs: 2 * MOST_MS,
};
const LOOK_EVERY_MS = 50;

/** @returns a function that ends the fault. Database errors are ignored: another fault may have stopped the database. */
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
    await sleep(LOOK_EVERY_MS, { signal });
  }
}
