/** The only place that writes: one transaction for the rows, the rejects, the gaps and the next offset of a batch. */
import type { RejectReason } from "../_shared/heartbeat.ts";
import type { Reading } from "../_shared/heartbeat.ts";
import { type Database, type Session, sqlState } from "../_shared/postgres.ts";
import { CopyBuffer, copyInto } from "./copy.ts";
import { UNKNOWN_EPOCH } from "./leader_epoch.ts";
import type { LedgerRow } from "./ledger.ts";
import { rollUp } from "./roll_up.ts";
import type { Gap, Offset, RawRecord, Slice } from "./slice.ts";

/** A record that is refused, and why. */
export interface Reject {
  readonly record: RawRecord;
  readonly reason: RejectReason;
  /** Which field and why. */
  readonly detail: string;
}

/** How many offsets of a batch ended where; together they are all of them. */
export interface Counts {
  readonly stored: number;
  readonly duplicates: number;
  readonly rejected: number;
  readonly gaps: number;
}

/** A batch's transaction while it is open. */
export interface BatchTransaction {
  /**
   * Inserts the readings, of which no two have the same key, in the order given.
   *
   * @param mode `copy` when none is expected to be in the table, `merge` when some may be
   * @returns for each reading undefined when it was stored, else the heart rate that was already there;
   *   or undefined for all when mode is `copy` and one of them was there: nothing is stored then
   * @throws what PostgreSQL refused; nothing is stored then, and the transaction goes on
   */
  insert(
    readings: readonly Reading[],
    mode: "copy" | "merge",
  ): Promise<readonly (number | undefined)[] | undefined>;
  /** Adds stored readings to what is derived from them: their minutes, and each customer's latest. */
  rollUp(stored: readonly Reading[]): Promise<void>;
  reject(rejects: readonly Reject[]): Promise<void>;
  /**
   * Moves the partition's offset to the end of the slice and adds the counts; the last step.
   *
   * @param latest the latest instant that was stored, microseconds since the Unix epoch
   */
  advance(slice: Slice, counts: Counts, latest: bigint | undefined): Promise<void>;
}

export interface Sink {
  /**
   * Opens a transaction that owns the partition's offset.
   *
   * @returns what `work` returned, or where the offset stands when it is not at `from`: another owner moved it, or an
   *   earlier COMMIT of ours whose answer was lost
   */
  write<T>(
    ledger: LedgerRow,
    from: Offset,
    work: (batch: BatchTransaction) => Promise<T>,
  ): Promise<
    { readonly at: "written"; readonly value: T } | { readonly at: "moved"; readonly nextOffset: Offset }
  >;
}

/** The indexes, one a partition, that keep a (customer_id, ts) from being stored twice. */
const PRIMARY_KEY = /^heartbeats(_\w+)?_pkey$/;

export function createSink(database: Database): Sink {
  return {
    write: (ledger, from, work) =>
      database.transaction(async (session) => {
        // The offset row is locked first: a second owner waits here, reads the moved offset and finds its batch stale.
        const locked = await session.query<{ next_offset: string }>({
          name: "lock_offset",
          text: "select next_offset from public.ingest_offsets where id = $1 for update",
          values: [ledger.id],
        });
        const nextOffset = Number(locked.rows[0]?.next_offset);
        if (nextOffset !== from) return { at: "moved" as const, nextOffset };
        return { at: "written" as const, value: await work(batchTransaction(session, ledger)) };
      }),
  };
}

function batchTransaction(session: Session, ledger: LedgerRow): BatchTransaction {
  return {
    insert: async (readings, mode) => {
      for (;;) {
        await session.query("savepoint readings");
        try {
          const present = mode === "copy" ? await copy(session, readings) : await merge(session, readings);
          await session.query("release savepoint readings");
          return present;
        } catch (error) {
          const raced = error instanceof MergeRaced;
          if (!raced && sqlState(error) === undefined) throw error;
          await session.query("rollback to savepoint readings");
          if (raced) continue;
          if (mode === "copy" && isPrimaryKeyViolation(error)) return undefined;
          throw error;
        }
      }
    },
    reject: (rejects) => storeRejects(session, ledger, rejects),
    rollUp: (stored) => rollUp(session, stored),
    advance: async ({ next, gaps, logEnd, leaderEpoch, records }, counts, latest) => {
      if (gaps.length > 0) await storeGaps(session, ledger, gaps);
      await session.query({
        name: "advance_offset",
        text: `update public.ingest_offsets
                  set next_offset = $2, stored = stored + $3, duplicates = duplicates + $4,
                      rejected = rejected + $5, gaps = gaps + $6, updated_at = now(), log_end_offset = $7,
                      leader_epoch = $10, leader_epoch_at = $2,
                      last_event_ts = greatest(last_event_ts, to_timestamp($8)),
                      last_record_at = coalesce(to_timestamp($9), last_record_at),
                      last_batch_at = case when $9 is null then last_batch_at else now() end
                where id = $1`,
        values: [
          ledger.id,
          next,
          counts.stored,
          counts.duplicates,
          counts.rejected,
          counts.gaps,
          logEnd,
          latest === undefined ? null : Number(latest) / 1e6,
          records.length === 0 ? null : (records.at(-1)?.timestampMs ?? 0) / 1000,
          leaderEpoch === UNKNOWN_EPOCH ? null : leaderEpoch,
        ],
      });
    },
  };
}

function isPrimaryKeyViolation(error: unknown): boolean {
  return sqlState(error) === "23505" && PRIMARY_KEY.test((error as { constraint?: string }).constraint ?? "");
}

/** The fast path: straight into the table. One reading that is already there fails it as a whole. */
async function copy(session: Session, readings: readonly Reading[]): Promise<undefined[]> {
  const rows = new CopyBuffer(readings.length * 64);
  for (const reading of readings) addReading(rows, 4, reading);
  await copyInto(session, "public.heartbeats (customer_id, ts, heart_rate, anomaly)", rows);
  return readings.map(() => undefined);
}

/** The careful path: through a staging table, so that what is already there can be told from what is new. */
async function merge(session: Session, readings: readonly Reading[]): Promise<(number | undefined)[]> {
  await session.query(
    `create temporary table if not exists staged_heartbeats (
       customer_id text collate "C", ts timestamptz, heart_rate smallint, anomaly text, position integer
     ) on commit delete rows`,
  );
  await session.query("truncate staged_heartbeats");
  const rows = new CopyBuffer(readings.length * 72);
  readings.forEach((reading, position) => {
    addReading(rows, 5, reading);
    rows.int32(position);
  });
  await copyInto(session, "staged_heartbeats (customer_id, ts, heart_rate, anomaly, position)", rows);
  const present = await session.query<{ position: number; heart_rate: number }>(
    `select staged.position, stored.heart_rate
       from staged_heartbeats staged
       join public.heartbeats stored using (customer_id, ts)`,
  );
  const inserted = await session.query(
    `insert into public.heartbeats (customer_id, ts, heart_rate, anomaly)
     select customer_id, ts, heart_rate, anomaly
       from staged_heartbeats
      order by position
         on conflict (customer_id, ts) do nothing`,
  );
  // Another writer committed one of our keys between the two statements: which one is found by looking again.
  if ((inserted.rowCount ?? 0) + present.rows.length !== readings.length) throw new MergeRaced();
  const heartRates = new Array<number | undefined>(readings.length).fill(undefined);
  for (const { position, heart_rate } of present.rows) heartRates[position] = heart_rate;
  return heartRates;
}

class MergeRaced extends Error {
  override readonly name = "MergeRaced";
}

function addReading(rows: CopyBuffer, fields: number, reading: Reading): void {
  rows.row(fields);
  rows.text(reading.customerId);
  rows.timestamptz(reading.ts);
  rows.int16(reading.heartRate);
  if (reading.anomaly === null) rows.null();
  else rows.text(reading.anomaly);
}

async function storeRejects(session: Session, ledger: LedgerRow, rejects: readonly Reject[]): Promise<void> {
  if (rejects.length === 0) return;
  const payloads = rejects.reduce((sum, { record }) => sum + (record.value?.length ?? 0), 0);
  const rows = new CopyBuffer(payloads + rejects.length * 256);
  for (const { record, reason, detail } of rejects) {
    rows.row(8);
    rows.int64(BigInt(ledger.id));
    rows.text(ledger.topic);
    rows.int32(ledger.partition);
    rows.int64(BigInt(record.offset));
    rows.text(reason);
    rows.text(detail);
    if (record.key === null) rows.null();
    else rows.bytea(record.key);
    if (record.value === null) rows.null();
    else rows.bytea(record.value);
  }
  const columns = "ledger_id, topic, kafka_partition, kafka_offset, reason, detail, key, payload";
  await copyInto(session, `public.heartbeat_rejects (${columns})`, rows);
}

async function storeGaps(session: Session, ledger: LedgerRow, gaps: readonly Gap[]): Promise<void> {
  await session.query(
    `insert into public.ingest_gaps (ledger_id, from_offset, to_offset, cause)
     select $1, gap.from_offset, gap.to_offset, gap.cause
       from unnest($2::bigint[], $3::bigint[], $4::text[]) as gap (from_offset, to_offset, cause)`,
    [ledger.id, gaps.map(({ from }) => from), gaps.map(({ to }) => to), gaps.map(({ cause }) => cause)],
  );
}
