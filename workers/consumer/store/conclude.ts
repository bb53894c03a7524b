/** The statements that end a transaction: readings where they are few, what is derived from them, and the offsets. */
import type { Statement } from "../../_shared/postgres.ts";
import { formatInstant } from "../../_shared/record/instant.ts";
import { FLOOR } from "../day_partitions/floor.ts";
import { type Slice, UNKNOWN_EPOCH } from "../kafka_partition/slice.ts";
import type { Written } from "./batch.ts";
import { readingColumns, type Readings } from "./readings.ts";
import { rollUp } from "./roll_up.ts";
import { GENERATION } from "../schema/migrate.ts";

/**
 * Whether the batches may be written with the floor as it is: no reading that is stored lies below it ($12), and none was
 * rejected by a floor ($11) that was lowered since.
 */
const FITS_FLOOR = `${FLOOR} between $11::timestamptz and $12::timestamptz`;

/**
 * Derived tables and ledger in one statement, since each statement more is a journey to the server and back. Who runs it
 * has the offsets' rows locked. It moves no offset, and the transaction must be rolled back, when the floor moved.
 *
 * @param stored rows of the readings that were stored, by customer and time
 */
export function concludeStatement(
  parts: readonly Written[],
  readings: Readings,
  stored: Int32Array,
): Statement {
  const ledger = ledgerColumns(parts);
  if (stored.length === 0) {
    return { name: "advance_offset", text: advance(`and ${FITS_FLOOR}`), values: ledger };
  }
  const derived = rollUp(readings, stored, ledger.length + 1);
  return {
    name: "roll_up_and_advance_offset",
    text: `with ${derived.steps} ${
      advance(`and (select count(*) from ${derived.last}) >= 0 and ${FITS_FLOOR}`)
    }`,
    values: [...ledger, ...derived.values],
  };
}

/**
 * All that a few batches write, which is a transaction by itself: readings, what is derived from them, and the offsets.
 * It is about as many rows as there are parts, or about none when one of the offsets is not where its batch begins, or
 * when the floor moved.
 *
 * @param rows of the readings, by customer and time; at least one
 */
export function wholeStatement(
  parts: readonly Written[],
  readings: Readings,
  rows: Int32Array,
): Statement {
  const ledger = ledgerColumns(parts);
  const owned = [
    parts.map(({ ledger }) => ledger.topicId),
    parts.map(({ ledger }) => ledger.partition),
    parts.map(({ ledger }) => ledger.generation),
    parts.map(({ slice }) => slice.from),
  ];
  const added = readingColumns(readings, rows);
  const $ = (index: number) => `$${ledger.length + index}`;
  const derived = rollUp(readings, rows, ledger.length + owned.length + added.length + 1, "stored");
  return {
    name: "store_few",
    // The offsets' rows are locked first, and each step looks at the one before: so every writer locks in one order.
    text: `with ours as materialized (
             select count(*) = cardinality($1::bigint[]) and ${FITS_FLOOR} as yes
               from (select id, topic_id, kafka_partition, generation, next_offset
                       from public.ingest_offsets
                      where id = any($1::bigint[]) and schema_generation = $13::integer
                      order by id
                        for update) as ledger
               join unnest($1::bigint[], ${$(1)}::uuid[], ${$(2)}::int[], ${$(3)}::int[], ${$(4)}::bigint[])
                    as batch (id, topic_id, kafka_partition, generation, from_offset)
              using (id, topic_id, kafka_partition, generation)
              where ledger.next_offset = batch.from_offset
           ), stored as (
             insert into public.heartbeats (customer_id, ts, heart_rate, anomaly)
             select customer_id, ts, heart_rate, nullif(anomaly, '')
               from unnest(${$(5)}::text[], ${$(6)}::timestamptz[], ${$(7)}::smallint[], ${$(8)}::text[])
                    as added (customer_id, ts, heart_rate, anomaly)
              where (select yes from ours)
          returning 1
           ), ${derived.steps}
           ${
      advance(`and (select count(*) from stored) > 0 and (select count(*) from ${derived.last}) >= 0`)
    }`,
    values: [...ledger, ...owned, ...added, ...derived.values],
  };
}

/** Moves the offsets of the batches in the parameters $1 to $10, if the schema has the program's generation, $13. */
function advance(condition: string): string {
  return `update public.ingest_offsets as ledger
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
            where ledger.id = batch.id and ledger.schema_generation = $13::integer ${condition}`;
}

function ledgerColumns(parts: readonly Written[]): (string | number | readonly (number | null)[])[] {
  return [
    parts.map(({ ledger }) => ledger.id),
    parts.map(({ slice }) => slice.next),
    parts.map(({ batch }) => batch.counts.stored),
    parts.map(({ batch }) => batch.counts.duplicates),
    parts.map(({ batch }) => batch.counts.rejected),
    parts.map(({ batch }) => batch.counts.gaps),
    parts.map(({ slice }) => slice.logEnd),
    parts.map(({ batch: { plan, stored } }) => latestSeconds(plan.readings, stored)),
    parts.map(({ slice }) => lastRecordSeconds(slice.records)),
    parts.map(({ slice: { leaderEpoch } }) => leaderEpoch === UNKNOWN_EPOCH ? null : leaderEpoch),
    ...floorBounds(parts),
    GENERATION,
  ];
}

/** The lowest and the highest floor that the batches may be written with. */
function floorBounds(parts: readonly Written[]): [lowest: string, highest: string] {
  const ascending = (a: bigint, b: bigint) => a < b ? -1 : 1;
  const floors = parts.flatMap(({ batch }) => batch.plan.floor ?? []).sort(ascending);
  const earliest = parts.flatMap(({ batch: { plan, stored } }) => earliestOf(plan.readings, stored) ?? [])
    .sort(ascending);
  const instant = (one: bigint | undefined, none: string) => one === undefined ? none : formatInstant(one);
  return [instant(floors.at(-1), "-infinity"), instant(earliest[0], "infinity")];
}

/** The earliest instant that was stored; undefined when none was. */
function earliestOf(readings: Readings, stored: Int32Array): bigint | undefined {
  const { seconds, micros } = readings;
  let earliest: number | undefined;
  for (const row of stored) {
    if (
      earliest === undefined ||
      ((seconds[row] ?? 0) - (seconds[earliest] ?? 0) || (micros[row] ?? 0) - (micros[earliest] ?? 0)) < 0
    ) earliest = row;
  }
  return earliest === undefined ? undefined : readings.ts(earliest);
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
