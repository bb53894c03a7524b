/**
 * Reads and opens rows of the ledger, public.ingest_offsets; `move_offsets.ts` moves them. Each function that returns rows throws
 * PipelineError `schema_too_new` if the schema has another generation than this program.
 */
import { type Database, type Row, sqlState } from "../../_shared/postgres.ts";
import type { Counts } from "./batch.ts";
import { UNKNOWN_EPOCH } from "../kafka_partition/slice.ts";
import type { LedgerRow } from "../kafka_partition/partition.ts";
import type { TopicIdPartition } from "../../_shared/kafka/topic.ts";
import type { Offset } from "../../_shared/kafka/records.ts";
import { checkSchemaGeneration, requireSchemaGeneration, SCHEMA_GENERATION } from "../schema/migrate.ts";

type Stored = LedgerRow & Row & { readonly schemaGeneration: number };

const COLUMNS = `
  id::float8, topic, topic_id as "topicId", kafka_partition as partition, generation, first_offset::float8 as "firstOffset",
  next_offset::float8 as "nextOffset", schema_generation as "schemaGeneration",
  coalesce(case when leader_epoch_at = next_offset then leader_epoch end, ${UNKNOWN_EPOCH}) as "leaderEpoch"`;

/** The newest generation of a log; undefined if the log was never read. */
export async function findLedger(database: Database, log: TopicIdPartition): Promise<LedgerRow | undefined> {
  const [row] = await database.query<Stored>(
    `select ${COLUMNS} from public.ingest_offsets
      where topic_id = $1 and kafka_partition = $2
      order by generation desc
      limit 1`,
    [log.topicId, log.partition],
  );
  return row === undefined ? undefined : ledgerRow(row);
}

/** Opens a generation of a log at this offset, or returns its row if another consumer has already opened it. */
export async function openLedger(
  database: Database,
  log: TopicIdPartition,
  generation: number,
  firstOffset: Offset,
): Promise<LedgerRow> {
  await database.query(
    // A breaking migration locks this table first, so an insert that waited for it sees the new generation.
    `insert into public.ingest_offsets
            (topic, topic_id, kafka_partition, generation, first_offset, next_offset, schema_generation)
     select $1::text, $2::uuid, $3::integer, $4::integer, $5::bigint, $5::bigint, $6::integer
      where public.schema_generation() = $6::integer
         on conflict on constraint ingest_offsets_log do nothing`,
    [log.topic, log.topicId, log.partition, generation, firstOffset, SCHEMA_GENERATION],
  );
  const row = await findLedger(database, log);
  if (row === undefined) {
    await checkSchemaGeneration(database);
    throw new Error(`the ledger row of partition ${log.partition} is gone right after its insert`);
  }
  return row;
}

/** Rows that the ledger does not have, or has with a lower offset: the database was replaced by an older copy of itself. */
export async function findOlderRows(database: Database, remembered: readonly LedgerRow[]) {
  if (remembered.length === 0) return [];
  const rows = await database.query<Stored>(
    `select ${COLUMNS} from public.ingest_offsets where id = any($1::bigint[])`,
    [remembered.map(({ id }) => id)],
  );
  const found = new Map(rows.map((row) => [row.id, ledgerRow(row)]));
  return remembered.flatMap((row) => {
    const now = found.get(row.id);
    const same = now?.topicId === row.topicId && now.partition === row.partition &&
      now.generation === row.generation;
    const nextOffset = same ? now.nextOffset : undefined;
    return nextOffset !== undefined && nextOffset >= row.nextOffset ? [] : [{ remembered: row, nextOffset }];
  });
}

export async function findOtherIncarnations(database: Database, topic: string, topicId: string) {
  const rows = await database.query<{ topic_id: string }>(
    "select distinct topic_id from public.ingest_offsets where topic = $1 and topic_id <> $2",
    [topic, topicId],
  );
  return rows.map(({ topic_id }) => topic_id);
}

export async function nextOffsets(database: Database, topicId: string): Promise<Map<number, Offset>> {
  const rows = await database.query<{ partition: number; next: Offset }>(
    `select distinct on (kafka_partition) kafka_partition as partition, next_offset::float8 as next
       from public.ingest_offsets
      where topic_id = $1
      order by kafka_partition, generation desc`,
    [topicId],
  );
  return new Map(rows.map(({ partition, next }) => [partition, next]));
}

/** The sums over all partitions, incarnations and generations of a topic. */
export async function ledgerSums(database: Database, topic: string): Promise<Counts> {
  const [sums] = await database.query<Counts & Row>(
    `select coalesce(sum(stored), 0)::float8 as stored,
            coalesce(sum(duplicates), 0)::float8 as duplicates,
            coalesce(sum(rejected), 0)::float8 as rejected,
            coalesce(sum(gaps), 0)::float8 as gaps
       from public.ingest_offsets
      where topic = $1`,
    [topic],
  );
  if (sums === undefined) throw new TypeError("sums without a row");
  return sums;
}

function ledgerRow({ schemaGeneration, ...ledger }: Stored): LedgerRow {
  requireSchemaGeneration(schemaGeneration);
  return ledger;
}

/** lock_not_available: another session held a lock for longer than lock_timeout. */
export const isLockTimeout = (error: unknown): boolean => sqlState(error) === "55P03";

/**
 * Ends the sessions of frozen consumers, and returns their number. A session that waits for the next bytes of a COPY checks no
 * timeout. If its client is frozen or unreachable, it would hold its locks until TCP gives up, hours later.
 */
export async function endFrozenWriters(database: Database): Promise<number> {
  const ended = await database.query(
    `select pg_terminate_backend(pid)
       from pg_stat_activity
      where datname = current_database()
        and usename = current_user
        and application_name = current_setting('application_name')
        and state = 'active'
        and wait_event = 'ClientRead'
        and query_start < now() - current_setting('statement_timeout')::interval`,
  );
  return ended.length;
}
