/** The only place that writes: one transaction for all that a batch brings, or the batches that share a turn. */
import type { LedgerRow } from "../kafka_partition/partition.ts";
import { type Database, type Row, type Session, sqlState } from "../../_shared/postgres.ts";
import type { InsertMode, Present, Reject, Stale, WriteOutcome, WriteRequest, Written } from "./batch.ts";
import { concludeStatement, wholeStatement } from "./conclude.ts";
import { type BinaryWriter, copyInto } from "./copy.ts";
import { FloorMoved, readFloor } from "../day_partitions/floor.ts";
import { Readings } from "./readings.ts";
import type { Gap } from "../kafka_partition/slice.ts";
import { requireGeneration } from "../schema/migrate.ts";

/** Up to so many records are worth no journey more than one to the server. */
const FEW_RECORDS = 4_000;

/** Writes what the partitions of one turn want: those that may be together in one transaction, the others by turns. */
export async function executeRequests(database: Database, requests: readonly WriteRequest[]): Promise<void> {
  const sharing = requests.filter(({ alone }) => !alone);
  // A long batch by itself gains nothing from being gathered.
  const isGathered = sharing.length > 1 || sharing.every(({ records }) => records <= FEW_RECORDS);
  const together = isGathered ? sharing : [];
  if (together.length > 0) await settle(together, () => writeTogether(database, together));
  for (const request of requests) {
    if (!together.includes(request)) await settle([request], () => writeAlone(database, request));
  }
}

/** Settles each of the requests; all of them are written, or none is. */
async function settle(
  requests: readonly WriteRequest[],
  write: () => Promise<readonly WriteOutcome[]>,
): Promise<void> {
  try {
    (await write()).forEach((outcome, index) => requests[index]?.resolve(outcome));
  } catch (error) {
    for (const { resolve, reject } of requests) {
      if (error instanceof FloorMoved) resolve({ kind: "floor moved", floor: error.floor });
      else reject(error);
    }
  }
}

async function writeAlone(database: Database, request: WriteRequest): Promise<WriteOutcome[]> {
  return await database.transaction(async (session, rows) => {
    const [stale] = findStale(rows, [request]);
    if (stale !== undefined) return [stale];
    const written = await request.work((...added) => insertReadings(session, ...added));
    await conclude(session, [written]);
    return [written];
  }, lockedOffsets([request]));
}

/** What each wants is gathered before anything is written: it takes one statement when there are only readings. */
async function writeTogether(
  database: Database,
  requests: readonly WriteRequest[],
): Promise<WriteOutcome[]> {
  // All readings are new, or the transaction fails.
  const all = await Promise.all(requests.map(({ work }) => work(() => Promise.resolve("all stored"))));
  if (all.every(({ slice, batch }) => slice.gaps.length + batch.rejects.length === 0)) {
    const { readings, rows } = joined(all);
    const count = rows.length && await database.execute(wholeStatement(all, readings, rows));
    // Else there is no reading, or an offset or the floor is elsewhere: nothing was written.
    if (count === all.length) return all;
  }
  return await database.transaction(async (session, rows) => {
    const stale = findStale(rows, requests);
    const owned = all.filter((_, index) => stale[index] === undefined);
    const stored = joined(owned);
    if (stored.rows.length > 0) await insertReadings(session, stored.readings, stored.rows, "copy");
    if (owned.length > 0) await conclude(session, owned);
    return all.map((written, index) => stale[index] ?? written);
  }, lockedOffsets(requests));
}

/** The offset rows are locked first: a second owner waits here, reads the moved offset and finds its batch stale. */
function lockedOffsets(requests: readonly WriteRequest[]): string {
  return `select id, topic_id, kafka_partition, generation, next_offset, schema_generation
            from public.ingest_offsets
           where id in (${requests.map(({ ledger }) => ledger.id).join(", ")})
           order by id
             for no key update`;
}

/**
 * Of each request where the offset stands, when it is not where its batch begins.
 *
 * @throws PipelineError `schema_too_new` when the schema's generation is not the program's
 */
function findStale(rows: readonly Row[], requests: readonly WriteRequest[]): (Stale | undefined)[] {
  return requests.map(({ ledger, from }) => {
    const row = rows.find(({ id }) => Number(id) === ledger.id);
    if (row !== undefined) requireGeneration(Number(row.schema_generation));
    // A standby that never heard of our row may have given its id to another log.
    const isOurs = row?.topic_id === ledger.topicId && row.kafka_partition === ledger.partition &&
      row.generation === ledger.generation;
    const nextOffset = isOurs ? Number(row.next_offset) : undefined;
    return nextOffset === from ? undefined : { kind: "stale", nextOffset };
  });
}

/** The stored readings of some batches as one's, and their rows in the order in which they are written. */
function joined(parts: readonly Written[]): { readonly readings: Readings; readonly rows: Int32Array } {
  const all = parts.map(({ batch }) => ({ readings: batch.plan.readings, rows: batch.stored }));
  if (all[0] !== undefined && all.length === 1) return all[0];
  const readings = Readings.joined(all);
  return { readings, rows: readings.ordered() };
}

/** The last step: keeps rejects and gaps, moves the offsets to the ends of their slices, and writes the changes. */
async function conclude(session: Session, parts: readonly Written[]): Promise<void> {
  for (const { ledger, batch } of parts) await storeRejects(session, ledger, batch.rejects);
  for (const { ledger, slice } of parts) await storeGaps(session, ledger, slice.gaps);
  const { rowCount } = await session.query(concludeStatement(parts));
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
  if (gaps.length === 0) return;
  await session.query(
    `insert into public.ingest_gaps (ledger_id, from_offset, to_offset, cause)
     select $1, gap.from_offset, gap.to_offset, gap.cause
       from unnest($2::bigint[], $3::bigint[], $4::text[]) as gap (from_offset, to_offset, cause)`,
    [ledger.id, gaps.map(({ from }) => from), gaps.map(({ to }) => to), gaps.map(({ cause }) => cause)],
  );
}

async function insertReadings(
  session: Session,
  readings: Readings,
  rows: Int32Array,
  mode: InsertMode,
): Promise<Present> {
  if (mode === "merge") return await mergeSafely(session, readings, rows);
  await copyInto(session, "public.heartbeats (customer_id, ts, heart_rate, anomaly)", {
    fields: 4,
    count: rows.length,
    add: (row, index) => addReading(row, readings, rows[index] ?? 0),
  });
  return "all stored";
}

/** Merges in a savepoint, and again when another writer's commit came in between. */
async function mergeSafely(session: Session, readings: Readings, rows: Int32Array): Promise<Present> {
  for (;;) {
    await session.query("savepoint readings");
    const present = await merge(session, readings, rows).catch(async (error) => {
      if (sqlState(error) !== undefined) await session.query("rollback to savepoint readings");
      throw error;
    });
    await session.query(`${present === undefined ? "rollback to" : "release"} savepoint readings`);
    if (present !== undefined) return present;
  }
}

/**
 * Through a staging table, so that what is already there can be told from what is new.
 *
 * @returns undefined when another writer committed one of our keys in between: which one is found by looking again
 */
async function merge(session: Session, readings: Readings, rows: Int32Array): Promise<Present | undefined> {
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
  if ((inserted.rowCount ?? 0) + known.rows.length !== rows.length) return undefined;
  const present = new Array<number | undefined>(rows.length).fill(undefined);
  for (const { position, heart_rate } of known.rows) present[position] = heart_rate;
  return present;
}

function addReading(fields: BinaryWriter, readings: Readings, row: number): void {
  fields.customer(readings.customers, readings.customer[row] ?? 0);
  fields.timestamptz(readings.seconds[row] ?? 0, readings.micros[row] ?? 0);
  fields.int16(readings.heartRate[row] ?? 0);
  const anomaly = readings.anomaly(row);
  if (anomaly === null) fields.null();
  else fields.text(anomaly);
}
