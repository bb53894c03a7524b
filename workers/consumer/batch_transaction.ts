/** What is done in the transaction of a batch, or of several: rows, rejects, gaps, what is derived, and the offsets. */
import type { Session } from "../_shared/postgres.ts";
import type { BinaryWriter } from "./binary_writer.ts";
import { copyInto } from "./copy.ts";
import { insertReadings } from "./insert_readings.ts";
import { UNKNOWN_EPOCH } from "./leader_epoch.ts";
import type { LedgerRow } from "./ledger.ts";
import { Readings } from "./readings.ts";
import { rollUp } from "./roll_up.ts";
import type { BatchTransaction, Conclusion, Reject } from "./sink.ts";
import type { Gap, Slice } from "./slice.ts";

/** A batch by itself: what it asks for is done at once. */
export function ownTransaction(session: Session, ledger: LedgerRow): BatchTransaction {
  return {
    insert: (readings, rows, mode) => insertReadings(session, readings, rows, mode),
    reject: (rejects) => storeRejects(session, ledger, rejects),
    conclude: (conclusion) =>
      conclude(session, [{ ledger, conclusion }], conclusion.readings, conclusion.stored),
  };
}

interface Part {
  readonly ledger: LedgerRow;
  readonly conclusion: Conclusion;
}

/** Several partitions' batches as one: what each wants is gathered, and written when the last has concluded. */
export class SharedTransaction {
  readonly #session: Session;
  readonly #parts: Part[] = [];
  readonly #rejects: { readonly ledger: LedgerRow; readonly rejects: readonly Reject[] }[] = [];
  readonly #written = Promise.withResolvers<void>();
  #missing: number;

  constructor(session: Session, parts: number) {
    this.#session = session;
    this.#missing = parts;
  }

  part(ledger: LedgerRow): BatchTransaction {
    return {
      // All of them are new, or the transaction fails.
      insert: () => Promise.resolve("all stored"),
      reject: (rejects) => {
        this.#rejects.push({ ledger, rejects });
        return Promise.resolve();
      },
      conclude: (conclusion) => {
        this.#parts.push({ ledger, conclusion });
        if (--this.#missing === 0) this.#write().then(this.#written.resolve, this.#written.reject);
        return this.#written.promise;
      },
    };
  }

  async #write(): Promise<void> {
    const session = this.#session;
    const readings = Readings.joined(this.#parts.map(({ conclusion }) => conclusion));
    const rows = readings.ordered();
    if (rows.length > 0) await insertReadings(session, readings, rows, "copy");
    for (const { ledger, rejects } of this.#rejects) await storeRejects(session, ledger, rejects);
    await conclude(session, this.#parts, readings, rows);
  }
}

async function conclude(
  session: Session,
  parts: readonly Part[],
  readings: Readings,
  stored: Int32Array,
): Promise<void> {
  for (const { ledger, conclusion: { slice: { gaps } } } of parts) {
    if (gaps.length > 0) await storeGaps(session, ledger, gaps);
  }
  await session.query(concludeQuery(parts, readings, stored));
}

/** Derived tables and ledger in one statement, since each statement more is a journey to the server and back. */
function concludeQuery(parts: readonly Part[], readings: Readings, stored: Int32Array) {
  const derived = stored.length === 0 ? undefined : rollUp(readings, stored, 11);
  const column = <T>(value: (conclusion: Conclusion) => T) =>
    parts.map(({ conclusion }) => value(conclusion));
  return {
    name: derived === undefined ? "advance_offset" : "roll_up_and_advance_offset",
    // Each step looks at the one before, so that every writer locks minutes, then customers, in this order.
    text: `${derived?.with ?? ""}
           update public.ingest_offsets as ledger
              set next_offset = batch.next_offset, stored = ledger.stored + batch.stored,
                  duplicates = ledger.duplicates + batch.duplicates, rejected = ledger.rejected + batch.rejected,
                  gaps = ledger.gaps + batch.gaps, updated_at = now(), log_end_offset = batch.log_end_offset,
                  leader_epoch = batch.leader_epoch, leader_epoch_at = batch.next_offset,
                  last_event_ts = greatest(last_event_ts, to_timestamp(batch.last_event)),
                  last_record_at = coalesce(to_timestamp(batch.last_record), last_record_at),
                  last_batch_at = case when batch.last_record is null then last_batch_at else now() end
             from unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[],
                         $7::bigint[], $8::float8[], $9::float8[], $10::integer[])
                  as batch (id, next_offset, stored, duplicates, rejected, gaps, log_end_offset, last_event,
                            last_record, leader_epoch)
            where ledger.id = batch.id${
      derived === undefined ? "" : ` and (select count(*) from ${derived.last}) >= 0`
    }`,
    values: [
      parts.map(({ ledger }) => ledger.id),
      column(({ slice }) => slice.next),
      column(({ counts }) => counts.stored),
      column(({ counts }) => counts.duplicates),
      column(({ counts }) => counts.rejected),
      column(({ counts }) => counts.gaps),
      column(({ slice }) => slice.logEnd),
      column(({ readings, stored }) => latestSeconds(readings, stored)),
      column(({ slice }) => lastRecordSeconds(slice.records)),
      column(({ slice: { leaderEpoch } }) => leaderEpoch === UNKNOWN_EPOCH ? null : leaderEpoch),
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
