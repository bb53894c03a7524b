/**
 * What retention does beside dropping partitions and minutes: it empties old rejects, and deletes the latest reading of
 * customers whose readings are all too old.
 */
import type { Database } from "../../_shared/postgres.ts";
import { FLOOR } from "./floor.ts";
import { OLDEST_KEPT } from "./oldest_kept.ts";
import type { MonotonicClock } from "../health/progress.ts";

/** Few, since each may have megabytes to give back. */
const REJECTS_AT_A_TIME = 100;
/** Old rejects are emptied for so long in a round; the next round goes on. */
const EMPTYING_MS = 5_000;
/** Customers that are looked at in a round, old or not: no index finds the old ones, since their rows change all the time. */
const CUSTOMERS_AT_A_TIME = 10_000;

/**
 * Empties rejects that are old by both clocks, for some seconds at most.
 *
 * @param now what this machine's clock says, in ISO 8601
 */
export async function emptyRejects(
  database: Pick<Database, "query">,
  { now, days }: { readonly now: string; readonly days: number },
  clock: MonotonicClock = () => performance.now(),
): Promise<void> {
  const endAt = clock() + EMPTYING_MS;
  while (clock() < endAt) {
    const emptied = await database.query(
      // Rejects that another consumer is emptying are skipped.
      `with old as materialized (
         select ledger_id, kafka_offset
           from public.heartbeat_rejects
          where emptied_at is null and rejected_at < ${OLDEST_KEPT}
          order by rejected_at
          limit ${REJECTS_AT_A_TIME}
            for update skip locked
       )
       update public.heartbeat_rejects as reject
          set key = null, payload = null, detail = '', emptied_at = now()
         from old
        where reject.ledger_id = old.ledger_id and reject.kafka_offset = old.kafka_offset
    returning 1`,
      [now, days],
    );
    if (emptied.length < REJECTS_AT_A_TIME) return;
  }
}

/**
 * The latest readings of customers whose readings were all dropped. Only below the floor a latest reading has lost its
 * row: above it the row of an old reading may still be there, and the two must agree.
 */
export class OldLatest {
  readonly #database: Pick<Database, "query">;
  /** The last customer that was looked at, in the order of the primary key; an empty text before the first. */
  #last = "";

  constructor(database: Pick<Database, "query">) {
    this.#database = database;
  }

  /** Looks at the customers that follow, and begins anew after the last. */
  async delete(): Promise<void> {
    const [row] = await this.#database.query<{ seen: number; last: string | null }>(
      // A row that a batch is writing is skipped: waiting for it could deadlock, and its customer has a new reading.
      `with seen as materialized (
         select ctid, customer_id, ts
           from public.customer_latest
          where customer_id > $1
          order by customer_id
          limit ${CUSTOMERS_AT_A_TIME}
       ), old as materialized (
         select ctid
           from public.customer_latest
          where ctid = any(array(select ctid from seen where ts < ${FLOOR})) and ts < ${FLOOR}
            for update skip locked
       ), deleted as (
         delete from public.customer_latest where ctid = any(array(select ctid from old))
       )
       select count(*)::integer as seen, max(customer_id) as last from seen`,
      [this.#last],
    );
    this.#last = row?.seen === CUSTOMERS_AT_A_TIME ? row.last ?? "" : "";
  }
}
