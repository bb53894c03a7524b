import type { LedgerRow } from "../kafka_partition/partition.ts";
import { isOutcomeUnknown } from "../../_shared/postgres_errors.ts";
import { type Database, type Row, type Session, sqlState } from "../../_shared/postgres.ts";
import type { OffsetMismatch, PlannedBatch, Reject, WriteOutcome, WrittenBatch } from "./batch.ts";
import { type BinaryWriter, copyInto } from "./copy.ts";
import { FloorMoved, readFloor } from "../day_partitions/floor.ts";
import type { Transactions } from "./group_commit.ts";
import { moveStatement } from "./move_offsets.ts";
import { assumeNoConflicts, insertChecked } from "./placement.ts";
import {
  HEARTBEATS,
  joinReadings,
  type OrderedReadings,
  READING_COLUMNS,
  readingArrays,
  Readings,
} from "./readings.ts";
import { requireSchemaGeneration } from "../schema/migrate.ts";

/** Up to this number, readings are written in one round trip. For more readings, COPY needs less memory and parsing. */
const MAX_SINGLE_STATEMENT_READINGS = 4_000;
const NO_READINGS: OrderedReadings = { readings: new Readings(0), rows: new Int32Array() };

export function transactionsOf(database: Database): Transactions {
  return {
    writeGroup: (batches) => writeGroup(database, batches.map(assumeNoConflicts)),
    writeChecked: (batch) => writeChecked(database, batch),
  };
}

async function writeGroup(
  database: Database,
  all: readonly WrittenBatch[],
): Promise<readonly WriteOutcome[]> {
  try {
    const added = joined(all);
    const isSmall = added.rows.length <= MAX_SINGLE_STATEMENT_READINGS &&
      all.every(({ rejects }) => rejects.length === 0);
    if (isSmall && await database.execute(moveStatement(all, added)) === all.length) return all;
    // If the statement wrote nothing, an offset or the floor has moved. The transaction finds out which.
    return await database.transaction(async (session, rows) => {
      const stale = findOffsetMismatches(rows, all);
      const owned = all.filter((_, index) => stale[index] === undefined);
      if (owned.length > 0) {
        await copyReadings(session, owned.length === all.length ? added : joined(owned));
        await conclude(session, owned);
      }
      return all.map((written, index) => stale[index] ?? written);
    }, lockedOffsets(all));
  } catch (error) {
    return all.map((written) => outcomeOf(error, written));
  }
}

async function writeChecked(database: Database, batch: PlannedBatch): Promise<WriteOutcome> {
  let attempted: WrittenBatch | undefined;
  try {
    return await database.transaction(async (session, rows) => {
      const [stale] = findOffsetMismatches(rows, [batch]);
      if (stale !== undefined) return stale;
      const { readings } = batch.plan;
      attempted = await insertChecked(batch, (rows) => insertMissing(session, { readings, rows }));
      await conclude(session, [attempted]);
      return attempted;
    }, lockedOffsets([batch]));
  } catch (error) {
    if (attempted === undefined) throw error;
    return outcomeOf(error, attempted);
  }
}

function outcomeOf(error: unknown, attempted: WrittenBatch): WriteOutcome {
  if (error instanceof FloorMoved) return { kind: "floor moved", floor: error.floor };
  if (isOutcomeUnknown(error)) return { kind: "unknown", written: attempted, error };
  throw error;
}

/** Locks the ledger rows first: another owner waits here, and then reads the moved offset. */
function lockedOffsets(batches: readonly PlannedBatch[]): string {
  return `select id, topic_id, kafka_partition, generation, next_offset, schema_generation
            from public.ingest_offsets
           where id in (${batches.map(({ ledger }) => ledger.id).join(", ")})
           order by id
             for no key update`;
}

function findOffsetMismatches(
  rows: readonly Row[],
  batches: readonly PlannedBatch[],
): (OffsetMismatch | undefined)[] {
  return batches.map(({ ledger, slice }) => {
    const row = rows.find(({ id }) => Number(id) === ledger.id);
    if (row !== undefined) requireSchemaGeneration(Number(row.schema_generation));
    // A promoted standby that never had this row may have given its id to another log.
    const isSameLog = row?.topic_id === ledger.topicId && row.kafka_partition === ledger.partition &&
      row.generation === ledger.generation;
    const nextOffset = isSameLog ? Number(row.next_offset) : undefined;
    return nextOffset === slice.from ? undefined : { kind: "offset mismatch", nextOffset };
  });
}

function joined(all: readonly WrittenBatch[]): OrderedReadings {
  return joinReadings(all.map(({ plan: { readings }, stored: rows }) => ({ readings, rows })));
}

async function conclude(session: Session, all: readonly WrittenBatch[]): Promise<void> {
  for (const { ledger, rejects } of all) await copyRejects(session, ledger, rejects);
  const { rowCount } = await session.query(moveStatement(all, NO_READINGS));
  // The offsets are locked and match, so only the floor can differ.
  if (rowCount !== all.length) {
    throw new FloorMoved(await readFloor(async (sql) => (await session.query(sql)).rows));
  }
}

async function copyReadings(session: Session, { readings, rows }: OrderedReadings): Promise<void> {
  if (rows.length === 0) return;
  await copyInto(session, HEARTBEATS, {
    fields: READING_COLUMNS.length,
    count: rows.length,
    add: (writer, index) => {
      for (const { add } of READING_COLUMNS) add(writer, readings, rows[index] ?? 0);
    },
  });
}

async function copyRejects(session: Session, ledger: LedgerRow, rejects: readonly Reject[]): Promise<void> {
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
  // RETENTION_DAYS forbids keeping an old reading, so only its offset and reason are stored.
  const isEmptied = reason === "too_old";
  row.text(isEmptied ? "" : detail);
  for (const bytes of [record.key, record.value]) {
    if (bytes === null || isEmptied) row.null();
    else row.bytea(bytes);
  }
  if (isEmptied) row.timestamptz(Math.floor(Date.now() / 1000), 0);
  else row.null();
}

/** Repeats the insert if another writer committed one of the keys meanwhile, because the statement's snapshot does not show that. */
async function insertMissing(session: Session, added: OrderedReadings): Promise<readonly (number | null)[]> {
  for (;;) {
    await session.query("savepoint readings");
    const { inserted, present } = await insertUnlessPresent(session, added).catch(async (error) => {
      if (sqlState(error) !== undefined) await session.query("rollback to savepoint readings");
      throw error;
    });
    const isComplete = inserted === present.filter((heartRate) => heartRate === null).length;
    await session.query(`${isComplete ? "release" : "rollback to"} savepoint readings`);
    if (isComplete) return present;
  }
}

async function insertUnlessPresent(session: Session, added: OrderedReadings) {
  const { rows: [result] } = await session.query<{ inserted: number; present: (number | null)[] }>({
    name: "insert_unless_present",
    // A subquery for each reading uses the index, whatever the planner expects of the arrays.
    text: `with inserted as (
             insert into ${HEARTBEATS}
             select *
               from unnest($1::text[], $2::timestamptz[], $3::smallint[], $4::text[])
                 on conflict (customer_id, ts) do nothing
          returning 1
           )
           select (select count(*)::int from inserted) as inserted,
                  array(select (select heart_rate
                                  from public.heartbeats as stored
                                 where stored.customer_id = added.customer_id
                                   and stored.ts = added.ts)
                          from unnest($1::text[], $2::timestamptz[])
                               with ordinality as added (customer_id, ts, number)
                         order by number) as present`,
    values: readingArrays(added),
  });
  return result ?? { inserted: 0, present: [] };
}
