/**
 * The statement that moves offsets is the last one of each transaction. With few readings, it is the whole transaction. It writes
 * nothing if an offset is not the first offset of its batch, if the schema has another generation, or if the floor is now above
 * a stored reading or below the floor of a `too_old` reject.
 *
 * Like every writer, it locks the ledger rows first, in the order of their ids. The change rows come from the rows that the
 * update returns, so no offset moves without its change row.
 */
import type { Statement } from "../../_shared/postgres.ts";
import { formatInstant } from "../../_shared/record/instant.ts";
import { FLOOR } from "../day_partitions/floor.ts";
import { type Slice, UNKNOWN_EPOCH } from "../kafka_partition/slice.ts";
import { SCHEMA_GENERATION } from "../schema/migrate.ts";
import type { WrittenBatch } from "./batch.ts";
import { changeArrays } from "./changes.ts";
import { HEARTBEATS, type OrderedReadings, readingArrays } from "./readings.ts";

const MOVE_OFFSETS = `with batch as materialized (
  select *
    from unnest($1::bigint[], $2::uuid[], $3::integer[], $4::integer[], $5::bigint[], $6::bigint[], $7::bigint[],
                $8::bigint[], $9::bigint[], $10::bigint[], $11::float8[], $12::integer[], $13::integer[],
                $14::integer[])
         as batch (id, topic_id, kafka_partition, generation, from_offset, next_offset, stored, duplicates, rejected,
                   gaps, last_record, leader_epoch, first_entry, last_entry)
), locked as materialized (
  select id, topic_id, kafka_partition, generation, next_offset
    from public.ingest_offsets
   where id = any($1::bigint[]) and schema_generation = $15::integer
   order by id
     for no key update
), owned as materialized (
  select count(*) = cardinality($1::bigint[]) and ${FLOOR} between $16::timestamptz and $17::timestamptz as yes
    from locked
    join batch using (id, topic_id, kafka_partition, generation)
   where locked.next_offset = batch.from_offset
), stored as (
  insert into ${HEARTBEATS}
  select *
    from unnest($18::text[], $19::timestamptz[], $20::smallint[], $21::text[])
   where (select yes from owned)
), skipped as (
  insert into public.ingest_gaps (ledger_id, from_offset, to_offset, cause)
  select *
    from unnest($22::bigint[], $23::bigint[], $24::bigint[], $25::text[])
   where (select yes from owned)
), moved as (
  update public.ingest_offsets as ledger
     set next_offset = batch.next_offset,
         moves = ledger.moves + 1,
         stored = ledger.stored + batch.stored,
         duplicates = ledger.duplicates + batch.duplicates,
         rejected = ledger.rejected + batch.rejected,
         gaps = ledger.gaps + batch.gaps,
         updated_at = now(),
         leader_epoch = batch.leader_epoch,
         leader_epoch_at = batch.next_offset,
         last_event_ts = greatest(last_event_ts, (select max(ts)
                                                    from unnest(($34::timestamptz[])[first_entry:last_entry]) as ts)),
         last_record_at = coalesce(to_timestamp(batch.last_record), last_record_at),
         last_batch_at = case when batch.last_record is null then last_batch_at else now() end
    from batch
   where ledger.id = batch.id and (select yes from owned)
  returning ledger.id, ledger.moves, from_offset, ledger.next_offset, first_entry, last_entry
)
insert into public.ingest_changes
       (ledger_id, move, from_offset, next_offset, customer_ids, minutes, readings, sums, lows, highs, low_counts,
        high_counts, last_ts, last_rates, last_anomalies)
select id, moves, from_offset, next_offset,
       ($26::text[])[first_entry:last_entry], ($27::timestamptz[])[first_entry:last_entry],
       ($28::integer[])[first_entry:last_entry], ($29::integer[])[first_entry:last_entry],
       ($30::smallint[])[first_entry:last_entry], ($31::smallint[])[first_entry:last_entry],
       ($32::integer[])[first_entry:last_entry], ($33::integer[])[first_entry:last_entry],
       ($34::timestamptz[])[first_entry:last_entry], ($35::smallint[])[first_entry:last_entry],
       ($36::text[])[first_entry:last_entry]
  from moved`;

/** The row count is the number of batches, or 0. `added` are the readings that the transaction has not inserted yet. */
export function moveStatement(batches: readonly WrittenBatch[], added: OrderedReadings): Statement {
  const { bounds, arrays } = changeArrays(batches);
  const gaps = batches.flatMap(({ ledger, slice }) => slice.gaps.map((gap) => ({ id: ledger.id, ...gap })));
  return {
    name: "move_offsets",
    text: MOVE_OFFSETS,
    values: [
      batches.map(({ ledger }) => ledger.id),
      batches.map(({ ledger }) => ledger.topicId),
      batches.map(({ ledger }) => ledger.partition),
      batches.map(({ ledger }) => ledger.generation),
      batches.map(({ slice }) => slice.from),
      batches.map(({ slice }) => slice.next),
      batches.map(({ counts }) => counts.stored),
      batches.map(({ counts }) => counts.duplicates),
      batches.map(({ counts }) => counts.rejected),
      batches.map(({ counts }) => counts.gaps),
      batches.map(({ slice }) => lastRecordSeconds(slice.records)),
      batches.map(({ slice: { leaderEpoch } }) => leaderEpoch === UNKNOWN_EPOCH ? null : leaderEpoch),
      ...bounds,
      SCHEMA_GENERATION,
      ...floorBounds(batches),
      ...readingArrays(added),
      gaps.map(({ id }) => id),
      gaps.map(({ from }) => from),
      gaps.map(({ to }) => to),
      gaps.map(({ cause }) => cause),
      ...arrays,
    ],
  };
}

/** The lowest and the highest floor with which these batches may be written. */
function floorBounds(batches: readonly WrittenBatch[]): [lowest: string, highest: string] {
  const ascending = (a: bigint, b: bigint) => a < b ? -1 : 1;
  const floors = batches.flatMap(({ plan }) => plan.floor ?? []).sort(ascending);
  const earliest = batches.flatMap(({ plan: { readings }, stored }) => {
    if (stored.length === 0) return [];
    return readings.ts(stored.reduce((first, row) => readings.compareTime(row, first) < 0 ? row : first));
  }).sort(ascending);
  const format = (ts: bigint | undefined, none: string) => ts === undefined ? none : formatInstant(ts);
  return [format(floors.at(-1), "-infinity"), format(earliest[0], "infinity")];
}

// The years 1 to 9999. A producer can set any 64 bits as Kafka's timestamp. A value that PostgreSQL refuses would fail its batch
// at each attempt, so the nearer of these two bounds replaces it.
const FIRST_SECOND = -62_135_596_800;
const LAST_SECOND = 253_402_300_799.999;

function lastRecordSeconds(records: Slice["records"]): number | null {
  const last = records.at(-1);
  return last === undefined ? null : Math.min(Math.max(last.timestampMs / 1000, FIRST_SECOND), LAST_SECOND);
}
