/** The only place that writes: one transaction for the rows, the rejects, the gaps and the next offset of a batch. */
import type { RejectReason } from "../_shared/heartbeat.ts";
import type { Database, Row, Session } from "../_shared/postgres.ts";
import type { BinaryWriter } from "./binary_writer.ts";
import { copyInto } from "./copy.ts";
import { type InsertMode, insertReadings, type Present } from "./insert_readings.ts";
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

/** What is known of a batch when all its readings have their place. */
export interface Conclusion {
  readonly slice: Slice;
  readonly counts: Counts;
  readonly readings: Readings;
  /** Rows of the readings that were stored, by customer and time. */
  readonly stored: Int32Array;
}

/** A batch's transaction while it is open. */
export interface BatchTransaction {
  /**
   * Inserts rows of these readings, of which no two have the same key, in the order given.
   *
   * @throws what PostgreSQL refused; nothing is stored then
   */
  insert(readings: Readings, rows: Int32Array, mode: InsertMode): Promise<Present>;
  reject(rejects: readonly Reject[]): Promise<void>;
  /**
   * The last step: adds what was stored to what is derived from it, moves the partition's offset to the end of the slice
   * and adds the counts.
   */
  conclude(conclusion: Conclusion): Promise<void>;
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

export function createSink(database: Database): Sink {
  return {
    write: (ledger, from, work) => {
      // The offset row is locked first: a second owner waits here, reads the moved offset and finds its batch stale.
      const lock = `select topic_id, kafka_partition, generation, next_offset
                      from public.ingest_offsets
                     where id = ${ledger.id}
                       for update`;
      return database.transaction(async (session, [row]) => {
        const nextOffset = row !== undefined && isOf(row, ledger) ? Number(row.next_offset) : undefined;
        if (nextOffset !== from) return { at: "moved" as const, nextOffset };
        return { at: "written" as const, value: await work(batchTransaction(session, ledger)) };
      }, lock);
    },
  };
}

/** A standby that never heard of our row may have given its id to another log. */
function isOf(row: Row, { topicId, partition, generation }: LedgerRow): boolean {
  return row.topic_id === topicId && row.kafka_partition === partition && row.generation === generation;
}

function batchTransaction(session: Session, ledger: LedgerRow): BatchTransaction {
  return {
    insert: (readings, rows, mode) => insertReadings(session, readings, rows, mode),
    reject: (rejects) => storeRejects(session, ledger, rejects),
    conclude: async (conclusion) => {
      const { gaps } = conclusion.slice;
      if (gaps.length > 0) await storeGaps(session, ledger, gaps);
      await session.query(concludeQuery(ledger, conclusion));
    },
  };
}

/** Derived tables and ledger in one statement, since each statement more is a journey to the server and back. */
function concludeQuery(ledger: LedgerRow, { slice, counts, readings, stored }: Conclusion) {
  const { next, logEnd, leaderEpoch, records } = slice;
  const derived = stored.length === 0 ? undefined : rollUp(readings, stored, 11);
  return {
    name: derived === undefined ? "advance_offset" : "roll_up_and_advance_offset",
    // Each step looks at the one before, so that every writer locks minutes, then customers, in this order.
    text: `${derived?.with ?? ""}
           update public.ingest_offsets
              set next_offset = $2, stored = stored + $3, duplicates = duplicates + $4,
                  rejected = rejected + $5, gaps = gaps + $6, updated_at = now(), log_end_offset = $7,
                  leader_epoch = $10, leader_epoch_at = $2,
                  last_event_ts = greatest(last_event_ts, to_timestamp($8)),
                  last_record_at = coalesce(to_timestamp($9), last_record_at),
                  last_batch_at = case when $9 is null then last_batch_at else now() end
            where id = $1${derived === undefined ? "" : ` and (select count(*) from ${derived.last}) >= 0`}`,
    values: [
      ledger.id,
      next,
      counts.stored,
      counts.duplicates,
      counts.rejected,
      counts.gaps,
      logEnd,
      latestSeconds(readings, stored),
      lastRecordSeconds(records),
      leaderEpoch === UNKNOWN_EPOCH ? null : leaderEpoch,
      ...derived?.values ?? [],
    ],
  };
}

/** The latest instant that was stored, in seconds since the Unix epoch with decimals; null when none was. */
function latestSeconds({ seconds, micros }: Readings, stored: Int32Array): number | null {
  let latest: number | null = null;
  for (const row of stored) {
    const instant = (seconds[row] ?? 0) + (micros[row] ?? 0) / 1e6;
    if (latest === null || instant > latest) latest = instant;
  }
  return latest;
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
