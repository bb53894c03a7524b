/** The statements that end a transaction: readings where they are few, what is derived from them, and the offsets. */
import type { Statement } from "../../_shared/postgres.ts";
import { formatInstant } from "../../_shared/record/instant.ts";
import { FLOOR } from "../day_partitions/floor.ts";
import { type Slice, UNKNOWN_EPOCH } from "../kafka_partition/slice.ts";
import { GENERATION } from "../schema/migrate.ts";
import type { Written } from "./batch.ts";
import { binaryArray } from "./copy.ts";
import { readingColumns, type Readings } from "./readings.ts";

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
    text: `with ${derived.steps} ${advance(`and (select count(*) from latest) >= 0 and ${FITS_FLOOR}`)}`,
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
export function wholeStatement(parts: readonly Written[], readings: Readings, rows: Int32Array): Statement {
  const ledger = ledgerColumns(parts);
  const owned = [
    parts.map(({ ledger }) => ledger.topicId),
    parts.map(({ ledger }) => ledger.partition),
    parts.map(({ ledger }) => ledger.generation),
    parts.map(({ slice }) => slice.from),
  ];
  const added = readingColumns(readings, rows);
  const $ = (index: number) => `$${ledger.length + index}`;
  const before = ledger.length + owned.length + added.length;
  const derived = rollUp(readings, rows, before + 1, "where (select count(*) from stored) > 0");
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
           ${advance("and (select count(*) from stored) > 0 and (select count(*) from latest) >= 0")}`,
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

function ledgerColumns(parts: readonly Written[]) {
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
  const earliest = parts.flatMap(({ batch: { plan: { readings }, stored } }) => {
    const row = outermost(readings, stored, 1);
    return row === undefined ? [] : readings.ts(row);
  }).sort(ascending);
  const instant = (one: bigint | undefined, none: string) => one === undefined ? none : formatInstant(one);
  return [instant(floors.at(-1), "-infinity"), instant(earliest[0], "infinity")];
}

/** The row with the earliest (1) or the latest (-1) instant that was stored; undefined when none was. */
function outermost(readings: Readings, stored: Int32Array, sign: 1 | -1): number | undefined {
  let found = stored[0];
  for (const row of stored) {
    if (found === undefined || sign * readings.compareTime(row, found) < 0) found = row;
  }
  return found;
}

/** The latest instant that was stored, in seconds since the Unix epoch with decimals; null when none was. */
function latestSeconds(readings: Readings, stored: Int32Array): number | null {
  const row = outermost(readings, stored, -1);
  return row === undefined ? null : (readings.seconds[row] ?? 0) + (readings.micros[row] ?? 0) / 1e6;
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

const MINUTE_SECONDS = 60;

/** What the readings of one customer and minute add up to. */
interface Minute {
  readonly customer: number;
  /** Its first second, since the Unix epoch. */
  readonly seconds: number;
  readings: number;
  sum: number;
  min: number;
  max: number;
  low: number;
  high: number;
}

/** @param rows in order of customer and time, which is the order in which every writer locks the rows of minutes */
export function minutesOf(readings: Readings, rows: Int32Array): Minute[] {
  const minutes: Minute[] = [];
  let minute: Minute | undefined;
  for (const row of rows) {
    const customer = readings.customer[row] ?? 0;
    const heartRate = readings.heartRate[row] ?? 0;
    const seconds = Math.floor((readings.seconds[row] ?? 0) / MINUTE_SECONDS) * MINUTE_SECONDS;
    if (minute === undefined || minute.customer !== customer || minute.seconds !== seconds) {
      minute = { customer, seconds, readings: 0, sum: 0, min: heartRate, max: heartRate, low: 0, high: 0 };
      minutes.push(minute);
    }
    minute.readings++;
    minute.sum += heartRate;
    if (heartRate < minute.min) minute.min = heartRate;
    if (heartRate > minute.max) minute.max = heartRate;
    const anomaly = readings.anomaly(row);
    if (anomaly !== null) minute[anomaly]++;
  }
  return minutes;
}

/** The row with the latest instant of each customer. @param rows in order of customer and time */
export function latestOf(readings: Readings, rows: Int32Array): number[] {
  const latest: number[] = [];
  rows.forEach((row, index) => {
    const next = rows[index + 1];
    if (next === undefined || readings.customer[next] !== readings.customer[row]) latest.push(row);
  });
  return latest;
}

/**
 * Steps of a WITH clause, of which `latest` is the last, and their parameters.
 *
 * @param rows what was stored, in order of customer and time; at least one
 * @param from number of the first of the parameters
 * @param condition without which nothing is added
 */
function rollUp(readings: Readings, rows: Int32Array, from: number, condition = "") {
  const $ = (index: number) => `$${from + index}`;
  const minutes = minutesOf(readings, rows);
  const { customers } = readings;
  return {
    steps: `minutes as (
             insert into public.heartbeats_1m as known
                    (customer_id, minute, readings, heart_rate_sum, heart_rate_min, heart_rate_max, low, high)
             select *
               from unnest(${$(0)}::text[], ${$(1)}::timestamptz[], ${$(2)}::int[], ${$(3)}::bigint[],
                           ${$(4)}::smallint[], ${$(5)}::smallint[], ${$(6)}::int[], ${$(7)}::int[])
              ${condition}
                 on conflict (customer_id, minute) do update
                set readings = known.readings + excluded.readings,
                    heart_rate_sum = known.heart_rate_sum + excluded.heart_rate_sum,
                    heart_rate_min = least(known.heart_rate_min, excluded.heart_rate_min),
                    heart_rate_max = greatest(known.heart_rate_max, excluded.heart_rate_max),
                    low = known.low + excluded.low,
                    high = known.high + excluded.high
          returning 1
           ), latest as (
             insert into public.customer_latest as known (customer_id, ts, heart_rate, anomaly)
             select customer_id, ts, heart_rate, nullif(anomaly, '')
               from unnest(${$(8)}::text[], ${$(9)}::timestamptz[], ${$(10)}::smallint[], ${$(11)}::text[])
                    as added (customer_id, ts, heart_rate, anomaly)
              where (select count(*) from minutes) > 0
                 on conflict (customer_id) do update
                set ts = excluded.ts, heart_rate = excluded.heart_rate, anomaly = excluded.anomaly
              where excluded.ts > known.ts
          returning 1
           )`,
    values: [
      binaryArray("text", minutes, (writer, { customer }) => writer.customer(customers, customer)),
      binaryArray("timestamptz", minutes, (writer, { seconds }) => writer.timestamptz(seconds, 0)),
      binaryArray("int4", minutes, (writer, { readings }) => writer.int32(readings)),
      binaryArray("int8", minutes, (writer, { sum }) => writer.int64(sum)),
      binaryArray("int2", minutes, (writer, { min }) => writer.int16(min)),
      binaryArray("int2", minutes, (writer, { max }) => writer.int16(max)),
      binaryArray("int4", minutes, (writer, { low }) => writer.int32(low)),
      binaryArray("int4", minutes, (writer, { high }) => writer.int32(high)),
      ...readingColumns(readings, latestOf(readings, rows)),
    ],
  };
}
