/** The statements that end a transaction: readings where they are few, the offsets, and the changes that followers read. */
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
 * Moves the offsets and writes their changes in one statement, since each statement more is a round trip. Who runs it
 * has the offsets' rows locked. It moves no offset, and the transaction must be rolled back, when the floor moved.
 */
export function concludeStatement(parts: readonly Written[]): Statement {
  return {
    name: "advance_offset",
    text: `with ${advance(`and ${FITS_FLOOR}`)}`,
    values: [...ledgerColumns(parts), ...changeColumns(parts)],
  };
}

/**
 * All that a few batches write, which is a transaction by itself: readings, the offsets, and their changes.
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
  const changes = changeColumns(parts);
  const $ = (index: number) => `$${ledger.length + changes.length + index}`;
  return {
    name: "store_few",
    // The offsets' rows are locked first, and each step looks at the one before: so every writer locks in one order.
    text: `with ours as materialized (
             select count(*) = cardinality($1::bigint[]) and ${FITS_FLOOR} as yes
               from (select id, topic_id, kafka_partition, generation, next_offset
                       from public.ingest_offsets
                      where id = any($1::bigint[]) and schema_generation = $13::integer
                      order by id
                        for no key update) as ledger
               join unnest($1::bigint[], ${$(1)}::uuid[], ${$(2)}::int[], ${$(3)}::int[], ${$(4)}::bigint[])
                    as batch (id, topic_id, kafka_partition, generation, from_offset)
              using (id, topic_id, kafka_partition, generation)
              where ledger.next_offset = batch.from_offset
           ), stored as (
             insert into public.heartbeats (customer_id, ts, heart_rate, anomaly)
             select customer_id, ts, heart_rate, anomaly
               from unnest(${$(5)}::text[], ${$(6)}::timestamptz[], ${$(7)}::smallint[], ${$(8)}::text[])
                    as added (customer_id, ts, heart_rate, anomaly)
              where (select yes from ours)
          returning 1
           ), ${advance("and (select count(*) from stored) > 0")}`,
    values: [...ledger, ...changes, ...owned, ...added],
  };
}

/**
 * Moves the offsets of the batches in the parameters $1 to $10, if the schema has the program's generation, $13, and
 * inserts the change of each row that it moved, $14 to $26.
 */
function advance(condition: string): string {
  return `moved as (
             update public.ingest_offsets as ledger
                set next_offset = batch.next_offset, moves = ledger.moves + 1, stored = ledger.stored + batch.stored,
                    duplicates = ledger.duplicates + batch.duplicates, rejected = ledger.rejected + batch.rejected,
                    gaps = ledger.gaps + batch.gaps, updated_at = now(), log_end_offset = batch.log_end_offset,
                    leader_epoch = batch.leader_epoch, leader_epoch_at = batch.next_offset,
                    last_event_ts = greatest(last_event_ts, to_timestamp(batch.last_event)),
                    last_record_at = coalesce(to_timestamp(batch.last_record), last_record_at),
                    last_batch_at = case when batch.last_record is null then last_batch_at else now() end
               from unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[],
                           $7::bigint[], $8::float8[], $9::float8[], $10::integer[], $14::integer[], $15::integer[])
                    as batch (id, next_offset, stored, duplicates, rejected, gaps, log_end_offset, last_event,
                              last_record, leader_epoch, first_entry, last_entry)
              where ledger.id = batch.id and ledger.schema_generation = $13::integer ${condition}
          returning ledger.id, ledger.moves, ledger.next_offset, first_entry, last_entry,
                    batch.stored + batch.duplicates + batch.rejected + batch.gaps as offsets
           )
           insert into public.ingest_changes
                  (ledger_id, move, from_offset, next_offset, customer_ids, minutes, readings, sums, lows, highs,
                   low_counts, high_counts, last_ts, last_rates, last_anomalies)
           select id, moves, next_offset - offsets, next_offset,
                  ($16::text[])[first_entry:last_entry], ($17::timestamptz[])[first_entry:last_entry],
                  ($18::integer[])[first_entry:last_entry], ($19::integer[])[first_entry:last_entry],
                  ($20::smallint[])[first_entry:last_entry], ($21::smallint[])[first_entry:last_entry],
                  ($22::integer[])[first_entry:last_entry], ($23::integer[])[first_entry:last_entry],
                  ($24::timestamptz[])[first_entry:last_entry], ($25::smallint[])[first_entry:last_entry],
                  ($26::text[])[first_entry:last_entry]
             from moved`;
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
  /** The row of its latest reading. */
  last: number;
}

/** @param rows in order of customer and time */
export function minutesOf(readings: Readings, rows: Int32Array): Minute[] {
  const minutes: Minute[] = [];
  let minute: Minute | undefined;
  for (const row of rows) {
    const customer = readings.customer[row] ?? 0;
    const heartRate = readings.heartRate[row] ?? 0;
    const seconds = Math.floor((readings.seconds[row] ?? 0) / MINUTE_SECONDS) * MINUTE_SECONDS;
    if (minute === undefined || minute.customer !== customer || minute.seconds !== seconds) {
      const [min, max] = [heartRate, heartRate];
      minute = { customer, seconds, readings: 0, sum: 0, min, max, low: 0, high: 0, last: row };
      minutes.push(minute);
    }
    minute.readings++;
    minute.sum += heartRate;
    if (heartRate < minute.min) minute.min = heartRate;
    if (heartRate > minute.max) minute.max = heartRate;
    minute.last = row;
    const anomaly = readings.anomaly(row);
    if (anomaly !== null) minute[anomaly]++;
  }
  return minutes;
}

/** The entries of the batches' changes as arrays, one batch's behind the other's, and where each batch's begin and end. */
function changeColumns(parts: readonly Written[]) {
  const entries: { readonly readings: Readings; readonly minute: Minute }[] = [];
  const [from, to]: [number[], number[]] = [[], []];
  for (const { batch: { plan: { readings }, stored } } of parts) {
    // As PostgreSQL counts the elements of an array.
    from.push(entries.length + 1);
    for (const minute of minutesOf(readings, stored)) entries.push({ readings, minute });
    to.push(entries.length);
  }
  return [
    from,
    to,
    binaryArray(
      "text",
      entries,
      (writer, { readings: { customers }, minute }) => writer.customer(customers, minute.customer),
    ),
    binaryArray("timestamptz", entries, (writer, { minute }) => writer.timestamptz(minute.seconds, 0)),
    binaryArray("int4", entries, (writer, { minute }) => writer.int32(minute.readings)),
    binaryArray("int4", entries, (writer, { minute }) => writer.int32(minute.sum)),
    binaryArray("int2", entries, (writer, { minute }) => writer.int16(minute.min)),
    binaryArray("int2", entries, (writer, { minute }) => writer.int16(minute.max)),
    binaryArray("int4", entries, (writer, { minute }) => writer.int32(minute.low)),
    binaryArray("int4", entries, (writer, { minute }) => writer.int32(minute.high)),
    binaryArray(
      "timestamptz",
      entries,
      (writer, { readings: { seconds, micros }, minute: { last } }) =>
        writer.timestamptz(seconds[last] ?? 0, micros[last] ?? 0),
    ),
    binaryArray(
      "int2",
      entries,
      (writer, { readings: { heartRate }, minute: { last } }) => writer.int16(heartRate[last] ?? 0),
    ),
    binaryArray("text", entries, (writer, { readings, minute: { last } }) => {
      const anomaly = readings.anomaly(last);
      if (anomaly === null) writer.null();
      else writer.text(anomaly);
    }),
  ];
}
