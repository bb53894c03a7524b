/** The only place that writes: one transaction for the rows, the rejects, the gaps and the next offset of a batch. */
import type { RejectReason } from "../_shared/heartbeat.ts";
import { type Database, type Session, sqlState } from "../_shared/postgres.ts";
import type { BinaryWriter } from "./binary_writer.ts";
import { copyInto } from "./copy.ts";
import { UNKNOWN_EPOCH } from "./leader_epoch.ts";
import type { LedgerRow } from "./ledger.ts";
import type { Readings } from "./readings.ts";
import type { Offset, RawRecord } from "./records.ts";
import { rollUp } from "./roll_up.ts";
import type { Gap, Slice } from "./slice.ts";

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

/**
 * `inserted`: each was stored, but for those whose key was in the table before: `present` has their heart rates by the
 * order of the rows, undefined where ours was stored; left out when all were stored. `repeats`: some key was in the
 * table before, so that nothing was stored.
 */
export type Inserted =
  | { readonly kind: "inserted"; readonly present?: readonly (number | undefined)[] }
  | { readonly kind: "repeats" };

/** A batch's transaction while it is open. */
export interface BatchTransaction {
  /**
   * Inserts rows of these readings, of which no two have the same key, in the order given.
   *
   * @param mode `copy` when none is expected to be in the table, `merge` when some may be: it never answers `repeats`
   * @throws what PostgreSQL refused; nothing is stored then, and the transaction goes on
   */
  insert(readings: Readings, rows: Int32Array, mode: "copy" | "merge"): Promise<Inserted>;
  /** Adds stored rows to what is derived from them: their minutes, and each customer's latest. */
  rollUp(readings: Readings, stored: Int32Array): Promise<void>;
  reject(rejects: readonly Reject[]): Promise<void>;
  /**
   * Moves the partition's offset to the end of the slice and adds the counts; the last step.
   *
   * @param latest the latest instant that was stored, seconds since the Unix epoch
   */
  advance(slice: Slice, counts: Counts, latest: number | undefined): Promise<void>;
}

export interface Sink {
  /**
   * Opens a transaction that owns the partition's offset.
   *
   * @returns what `work` returned, or where the offset stands when it is not at `from`: another owner moved it, or an
   *   earlier COMMIT of ours whose answer was lost, or the database is an older copy of itself; undefined when it has no
   *   such row (any more)
   */
  write<T>(
    ledger: LedgerRow,
    from: Offset,
    work: (batch: BatchTransaction) => Promise<T>,
  ): Promise<
    | { readonly at: "written"; readonly value: T }
    | { readonly at: "moved"; readonly nextOffset: Offset | undefined }
  >;
}

/** The indexes, one a partition, that keep a (customer_id, ts) from being stored twice. */
const PRIMARY_KEY = /^heartbeats(_\w+)?_pkey$/;

export function createSink(database: Database): Sink {
  return {
    write: (ledger, from, work) =>
      database.transaction(async (session) => {
        // The offset row is locked first: a second owner waits here, reads the moved offset and finds its batch stale.
        // By more than its id: a standby that never heard of our row may have given its id to another log.
        const locked = await session.query<{ next_offset: string }>({
          name: "lock_offset",
          text: `select next_offset
                   from public.ingest_offsets
                  where id = $1 and topic_id = $2 and kafka_partition = $3 and generation = $4
                    for update`,
          values: [ledger.id, ledger.topicId, ledger.partition, ledger.generation],
        });
        const [row] = locked.rows;
        const nextOffset = row === undefined ? undefined : Number(row.next_offset);
        if (nextOffset !== from) return { at: "moved" as const, nextOffset };
        return { at: "written" as const, value: await work(batchTransaction(session, ledger)) };
      }),
  };
}

function batchTransaction(session: Session, ledger: LedgerRow): BatchTransaction {
  return {
    insert: async (readings, rows, mode) => {
      for (;;) {
        await session.query("savepoint readings");
        try {
          const inserted = await (mode === "copy" ? copy : merge)(session, readings, rows);
          await session.query("release savepoint readings");
          return inserted;
        } catch (error) {
          const raced = error instanceof MergeRaced;
          if (!raced && sqlState(error) === undefined) throw error;
          await session.query("rollback to savepoint readings");
          if (raced) continue;
          if (mode === "copy" && isPrimaryKeyViolation(error)) return { kind: "repeats" };
          throw error;
        }
      }
    },
    reject: (rejects) => storeRejects(session, ledger, rejects),
    rollUp: (readings, stored) => rollUp(session, readings, stored),
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
          latest ?? null,
          lastRecordSeconds(records),
          leaderEpoch === UNKNOWN_EPOCH ? null : leaderEpoch,
        ],
      });
    },
  };
}

function isPrimaryKeyViolation(error: unknown): boolean {
  return sqlState(error) === "23505" && PRIMARY_KEY.test((error as { constraint?: string }).constraint ?? "");
}

/** 0001-01-01T00:00:00Z and the last millisecond of 9999, in seconds since the Unix epoch. */
const FIRST_SECOND = -62_135_596_800;
const LAST_SECOND = 253_402_300_799.999;

/**
 * Seconds since the Unix epoch; null when there is no record. Kafka's timestamp is whatever 64 bits a producer puts
 * there: one that PostgreSQL's calendar does not know, on either side, would fail its batch at every try, so it counts
 * as the first or the last instant that ours knows.
 */
function lastRecordSeconds(records: Slice["records"]): number | null {
  const last = records.at(-1);
  return last === undefined ? null : Math.min(Math.max(last.timestampMs / 1000, FIRST_SECOND), LAST_SECOND);
}

/** The fast path: straight into the table. One reading that is already there fails it as a whole. */
async function copy(session: Session, readings: Readings, rows: Int32Array): Promise<Inserted> {
  await copyInto(session, "public.heartbeats (customer_id, ts, heart_rate, anomaly)", {
    fields: 4,
    count: rows.length,
    add: (row, index) => addReading(row, readings, rows[index] ?? 0),
  });
  return { kind: "inserted" };
}

/** The careful path: through a staging table, so that what is already there can be told from what is new. */
async function merge(session: Session, readings: Readings, rows: Int32Array): Promise<Inserted> {
  await session.query(
    `create temporary table if not exists staged_heartbeats (
       customer_id text collate "C", ts timestamptz, heart_rate smallint, anomaly text, position integer
     ) on commit delete rows`,
  );
  await session.query("truncate staged_heartbeats");
  await copyInto(session, "staged_heartbeats (customer_id, ts, heart_rate, anomaly, position)", {
    fields: 5,
    count: rows.length,
    add: (row, position) => {
      addReading(row, readings, rows[position] ?? 0);
      row.int32(position);
    },
  });
  const known = await session.query<{ position: number; heart_rate: number }>(
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
  if ((inserted.rowCount ?? 0) + known.rows.length !== rows.length) throw new MergeRaced();
  const present = new Array<number | undefined>(rows.length).fill(undefined);
  for (const { position, heart_rate } of known.rows) present[position] = heart_rate;
  return { kind: "inserted", present };
}

class MergeRaced extends Error {
  override readonly name = "MergeRaced";
}

function addReading(fields: BinaryWriter, readings: Readings, row: number): void {
  fields.customer(readings.customers, readings.customer[row] ?? 0);
  fields.timestamptz(readings.seconds[row] ?? 0, readings.micros[row] ?? 0);
  fields.int16(readings.heartRate[row] ?? 0);
  const anomaly = readings.anomaly(row);
  if (anomaly === null) fields.null();
  else fields.text(anomaly);
}

async function storeRejects(session: Session, ledger: LedgerRow, rejects: readonly Reject[]): Promise<void> {
  if (rejects.length === 0) return;
  const columns = "ledger_id, topic, kafka_partition, kafka_offset, reason, detail, key, payload";
  await copyInto(session, `public.heartbeat_rejects (${columns})`, {
    fields: 8,
    count: rejects.length,
    add: (row, index) => {
      const reject = rejects[index];
      if (reject !== undefined) addReject(row, ledger, reject);
    },
  });
}

function addReject(row: BinaryWriter, ledger: LedgerRow, { record, reason, detail }: Reject): void {
  row.int64(ledger.id);
  row.text(ledger.topic);
  row.int32(ledger.partition);
  row.int64(record.offset);
  row.text(reason);
  row.text(detail);
  for (const bytes of [record.key, record.value]) {
    if (bytes === null) row.null();
    else row.bytea(bytes);
  }
}

async function storeGaps(session: Session, ledger: LedgerRow, gaps: readonly Gap[]): Promise<void> {
  await session.query(
    `insert into public.ingest_gaps (ledger_id, from_offset, to_offset, cause)
     select $1, gap.from_offset, gap.to_offset, gap.cause
       from unnest($2::bigint[], $3::bigint[], $4::text[]) as gap (from_offset, to_offset, cause)`,
    [ledger.id, gaps.map(({ from }) => from), gaps.map(({ to }) => to), gaps.map(({ cause }) => cause)],
  );
}
