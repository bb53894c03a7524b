import type { Session } from "../../_shared/postgres.ts";
import type { CustomerReading } from "../view/view.ts";
import { firstRow, instant } from "./snapshot.ts";

const DAY_MS = 86_400_000;
/**
 * If more records wait for the rollup, they are left out, because reading them takes too long. At 20,000 readings a second,
 * the rollup lets 300,000 records wait.
 */
export const PENDING_UP_TO = 400_000;
/** Bounds the memory, to about 100 MB. */
export const MAX_CUSTOMERS = 500_000;
/** After a longer time without a poll, all rows are read again, because nearly all customers have changed. */
const KEPT_MS = 60_000;
/** Rows that were deleted, for example by `reopen_heartbeats`, are forgotten after this time. */
const RELOAD_MS = 3_600_000;
/** The delay is that of the readings that were stored in this time. */
const DELAY_OVER_MS = 10_000;

export interface RollupState {
  /** Offsets that wait for it. */
  readonly records: number;
  readonly seconds: number;
  /** Null unless a rebuild is due or running. */
  readonly cursor: string | null;
}

/** Cheaper than {@link ms} for many rows, and exact in a JSON number. */
const micros = (instant: string) => `(date_part('epoch', ${instant}) * 1000000)::bigint`;

/**
 * Reads the rows that were written since the last poll, or all rows. One JSON array for each column, because the driver is much
 * slower with a row for each reading.
 * $1: the oldest transaction of the last poll. Every later commit has an equal or newer xmin. Null reads all rows.
 * $2: whether to read the change rows.
 * $3: the moves of each ledger row at the last poll. If the rollup has applied no later change row, `customer_latest` has
 * nothing that the last poll did not read.
 * $4: the instant that Now shows: `unknownSince`, or the present. Readings from a day before it on are read.
 */
const CHANGED = `
  select coalesce(json_agg(customer_id), '[]') as ids, coalesce(json_agg(${micros("ts")}), '[]') as ts,
         coalesce(json_agg(heart_rate), '[]') as bpm, coalesce(json_agg(anomaly), '[]') as anomaly,
         coalesce(json_agg(${micros("written_at")}), '[]') as "writtenAt"
    from (select customer_id, ts, heart_rate, anomaly, null::timestamptz as written_at
            from public.customer_latest
           where ts > ${instant("$4")} - interval '1 day'
             and ($1::xid is null
                  or age(xmin) <= age($1::xid)
                     and exists (select from public.rollup left join public.rollup_positions position on true
                                  where cursor is not null or position.move > coalesce(($3::jsonb->>ledger_id::text)::bigint, 0)))
           union all
          select entry.*, change.written_at
            from public.ingest_changes change
           cross join lateral unnest(change.customer_ids, change.last_ts, change.last_rates, change.last_anomalies)
                 as entry (customer_id, ts, heart_rate, anomaly)
           where $2
             and entry.ts > ${instant("$4")} - interval '1 day'
             and ($1::xid is null or age(change.xmin) <= age($1::xid))
           -- Bounds the memory. A customer can be in several change rows.
           limit ${MAX_CUSTOMERS + PENDING_UP_TO}) changed`;

/** The state of the pipeline in the snapshot of a poll. */
export interface PollSnapshot {
  readonly at: number;
  /** The oldest transaction that is running. */
  readonly horizon: string;
  /** Moves of each ledger row. */
  readonly moves: Readonly<Record<string, number>>;
  readonly rollup: RollupState;
  readonly lastBatchAt: number | null;
  /** See `PipelineState`. */
  readonly unknownSince: number | null;
}

/** Instants are microseconds since 1970. */
interface Changed {
  readonly ids: readonly string[];
  readonly ts: readonly number[];
  readonly bpm: readonly number[];
  readonly anomaly: readonly CustomerReading["anomaly"][];
  /** When the reading was stored. Null if only `customer_latest` has it. */
  readonly writtenAt: readonly (number | null)[];
}

/**
 * The latest reading of each customer of the last day, exact at commit time: `customer_latest` and the change rows that the
 * rollup has not applied. Each poll reads only what was written since the last one, because all of it takes half a second of CPU
 * time at 100,000 customers.
 */
export class LatestReadings {
  readonly #customers = new Map<string, CustomerReading>();
  #last: PollSnapshot | undefined;
  #loadedAt = 0;
  #delay: { readonly at: number; readonly ms: number } | undefined;
  /** Whether the readings that wait for the rollup are left out. */
  omitsPending = false;

  get isFull(): boolean {
    return this.#customers.size >= MAX_CUSTOMERS;
  }

  async update(session: Session, snapshot: PollSnapshot): Promise<void> {
    const { at, lastBatchAt, rollup: { records, cursor } } = snapshot;
    const canApplyAll = records <= PENDING_UP_TO;
    const isRebuilt = (this.#last?.rollup.cursor ?? null) !== null && cursor === null;
    const isOld = at - (this.#last?.at ?? 0) > KEPT_MS || at - this.#loadedAt > RELOAD_MS;
    if (isOld || isRebuilt || this.omitsPending && canApplyAll) this.forget();
    const last = this.#last;
    const values = [
      last?.horizon ?? null,
      last !== undefined || canApplyAll,
      JSON.stringify(this.omitsPending ? {} : last?.moves ?? {}),
      snapshot.unknownSince ?? at,
    ];
    const changed = await firstRow<Changed>(session, CHANGED, values);
    const delays: number[] = [];
    for (const [row, id] of changed.ids.entries()) {
      const ts = (changed.ts[row] ?? 0) / 1_000;
      const written = changed.writtenAt[row] ?? null;
      const known = this.#customers.get(id);
      const isNew = last !== undefined && (known?.ts ?? -Infinity) < ts;
      // If the rollup was faster than this poll, the reading was in one of the last batches.
      const writtenAt = written !== null ? written / 1_000 : isNew ? lastBatchAt ?? 0 : 0;
      if (writtenAt > at - DELAY_OVER_MS) delays.push(writtenAt - ts);
      if (known === undefined ? !this.isFull : known.ts < ts) {
        this.#customers.set(id, {
          id,
          ts,
          bpm: changed.bpm[row] ?? 0,
          anomaly: changed.anomaly[row] ?? null,
        });
      }
    }
    const delay = medianOf(delays);
    if (delay !== undefined) this.#delay = { at, ms: delay };
    if (last === undefined) [this.#loadedAt, this.omitsPending] = [at, !canApplyAll];
    this.#last = snapshot;
  }

  /**
   * @returns the median time from a measurement until the reading was stored, of those that were stored last. Below 0: the clock
   * that measured is ahead. Undefined if nothing was stored lately
   */
  delayMs(at: number): number | undefined {
    return this.#delay !== undefined && this.#delay.at > at - DELAY_OVER_MS ? this.#delay.ms : undefined;
  }

  /** Call it after an error: another server may have taken over, with other transaction numbers. */
  forget(): void {
    this.#last = undefined;
    this.#customers.clear();
  }

  *since(at: number): Generator<CustomerReading> {
    for (const reading of this.#customers.values()) {
      if (reading.ts > at - DAY_MS) yield reading;
      else this.#customers.delete(reading.id);
    }
  }
}

function medianOf(values: readonly number[]): number | undefined {
  return Float64Array.from(values).sort()[values.length >> 1];
}
