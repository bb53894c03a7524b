/** Puts readings into public.heartbeats: at once when all are new, and with care when some may be there already. */
import { type Session, sqlState } from "../../_shared/postgres.ts";
import { type BinaryWriter, copyInto } from "./copy.ts";
import type { Readings } from "./readings.ts";

/**
 * How readings are inserted. `copy`, the quick way: all at once, and one whose key is in the table, or that PostgreSQL
 * refuses, fails the whole transaction. `merge`, with care: what is there is told from what is new, and after a failure
 * the transaction goes on.
 */
export type InsertMode = "copy" | "merge";

/** The heart rate that was there already, by the order of the rows; undefined where ours was stored. */
export type Present = "all stored" | readonly (number | undefined)[];

/** @throws what PostgreSQL refused; then none of them is stored */
export async function insertReadings(
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
async function mergeSafely(
  session: Session,
  readings: Readings,
  rows: Int32Array,
): Promise<Present> {
  for (;;) {
    await session.query("savepoint readings");
    try {
      const present = await merge(session, readings, rows);
      await session.query("release savepoint readings");
      return present;
    } catch (error) {
      const raced = error instanceof MergeRaced;
      if (!raced && sqlState(error) === undefined) throw error;
      await session.query("rollback to savepoint readings");
      if (!raced) throw error;
    }
  }
}

/** Through a staging table, so that what is already there can be told from what is new. */
async function merge(
  session: Session,
  readings: Readings,
  rows: Int32Array,
): Promise<Present> {
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
  // Another writer committed one of our keys between the two statements: which one is found by looking again.
  if ((inserted.rowCount ?? 0) + known.rows.length !== rows.length) throw new MergeRaced();
  const present = new Array<number | undefined>(rows.length).fill(undefined);
  for (const { position, heart_rate } of known.rows) present[position] = heart_rate;
  return present;
}

class MergeRaced extends Error {
  override readonly name = "MergeRaced";
}

function addReading(fields: BinaryWriter, readings: Readings, row: number): void {
  fields.customer(readings.customers, readings.customer[row] ?? 0);
  fields.timestamptz(readings.seconds[row] ?? 0, readings.micros[row] ?? 0);
  fields.int16(readings.heartRate[row] ?? 0);
  const anomaly = readings.anomaly(row);
  if (anomaly === null) fields.null();
  else fields.text(anomaly);
}
