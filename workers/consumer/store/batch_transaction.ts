/** What is done in the transaction of a batch, or of several: rows, rejects, gaps, what is derived, and the offsets. */
import type { LedgerRow } from "../kafka_partition/partition.ts";
import type { Database, Session } from "../../_shared/postgres.ts";
import type { BinaryWriter } from "./binary_writer.ts";
import { concludeStatement, type Part, wholeStatement } from "./conclude.ts";
import { copyInto } from "./copy.ts";
import { FloorMoved, readFloor } from "../day_partitions/floor.ts";
import { insertReadings } from "./insert_readings.ts";
import { Readings } from "./readings.ts";
import type { Offset } from "../../_shared/kafka/records.ts";
import type { BatchTransaction, Reject } from "./sink.ts";
import type { Gap } from "../kafka_partition/slice.ts";

/** A batch by itself: what it asks for is done at once. */
export function ownTransaction(session: Session, ledger: LedgerRow): BatchTransaction {
  return {
    insert: (readings, rows, mode) => insertReadings(session, readings, rows, mode),
    reject: (rejects) => storeRejects(session, ledger, rejects),
    conclude: (conclusion) =>
      conclude(session, [{ ledger, conclusion }], conclusion.readings, conclusion.stored),
  };
}

/** Several partitions' batches: what each asks for is kept, as if all of it succeeded, until it is written as one. */
export class Gathered {
  readonly #parts: (Part & { readonly from: Offset })[] = [];
  readonly #rejects: { readonly ledger: LedgerRow; readonly rejects: readonly Reject[] }[] = [];

  part(ledger: LedgerRow, from: Offset): BatchTransaction {
    return {
      // All of them are new, or the transaction fails.
      insert: () => Promise.resolve("all stored"),
      reject: (rejects) => {
        if (rejects.length > 0) this.#rejects.push({ ledger, rejects });
        return Promise.resolve();
      },
      conclude: (conclusion) => {
        this.#parts.push({ ledger, from, conclusion });
        return Promise.resolve();
      },
    };
  }

  /**
   * Writes readings and offsets by one statement, for as long as there is nothing else.
   *
   * @returns false when there is, or when an offset or the floor is elsewhere: then nothing was written
   */
  async writeAtOnce(database: Database): Promise<boolean> {
    const parts = this.#parts;
    if (this.#rejects.length > 0 || parts.some(({ conclusion }) => conclusion.slice.gaps.length > 0)) {
      return false;
    }
    const { readings, rows } = joined(parts);
    if (rows.length === 0) return false;
    return await database.execute(wholeStatement(parts, readings, rows)) === parts.length;
  }

  /** Writes the parts of these, within a transaction that owns their offsets. */
  async write(session: Session, owned: readonly { readonly ledger: LedgerRow }[]): Promise<void> {
    const isOwned = (ledger: LedgerRow) => owned.some((one) => one.ledger === ledger);
    const parts = this.#parts.filter(({ ledger }) => isOwned(ledger));
    if (parts.length === 0) return;
    const { readings, rows } = joined(parts);
    if (rows.length > 0) await insertReadings(session, readings, rows, "copy");
    for (const { ledger, rejects } of this.#rejects) {
      if (isOwned(ledger)) await storeRejects(session, ledger, rejects);
    }
    await conclude(session, parts, readings, rows);
  }
}

/** Their stored readings as one's, and the order in which they are written. */
function joined(parts: readonly Part[]): { readonly readings: Readings; readonly rows: Int32Array } {
  const [only, ...others] = parts;
  if (only !== undefined && others.length === 0) {
    return { readings: only.conclusion.readings, rows: only.conclusion.stored };
  }
  const readings = Readings.joined(parts.map(({ conclusion }) => conclusion));
  return { readings, rows: readings.ordered() };
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
  const { rowCount } = await session.query(concludeStatement(parts, readings, stored));
  // The offsets are locked and were where they should be, so only the floor can have kept them.
  if (rowCount !== parts.length) {
    throw new FloorMoved(await readFloor(async (sql) => (await session.query(sql)).rows));
  }
}

async function storeRejects(session: Session, ledger: LedgerRow, rejects: readonly Reject[]): Promise<void> {
  if (rejects.length === 0) return;
  const columns = "ledger_id, topic, kafka_partition, kafka_offset, reason, detail, key, payload, emptied_at";
  await copyInto(session, `public.heartbeat_rejects (${columns})`, {
    fields: 9,
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
  // Its reading is older than RETENTION_DAYS allows to keep: only its place in the log is written down.
  const isEmptied = reason === "too_old";
  row.text(isEmptied ? "" : detail);
  for (const bytes of [record.key, record.value]) {
    if (bytes === null || isEmptied) row.null();
    else row.bytea(bytes);
  }
  if (isEmptied) row.timestamptz(Math.floor(Date.now() / 1000), 0);
  else row.null();
}

async function storeGaps(session: Session, ledger: LedgerRow, gaps: readonly Gap[]): Promise<void> {
  await session.query(
    `insert into public.ingest_gaps (ledger_id, from_offset, to_offset, cause)
     select $1, gap.from_offset, gap.to_offset, gap.cause
       from unnest($2::bigint[], $3::bigint[], $4::text[]) as gap (from_offset, to_offset, cause)`,
    [ledger.id, gaps.map(({ from }) => from), gaps.map(({ to }) => to), gaps.map(({ cause }) => cause)],
  );
}
