/** Decides for each reading of a batch: stored, duplicate, or rejected. */
import { describeError } from "../../_shared/errors.ts";
import { isDataError } from "../../_shared/postgres_errors.ts";
import type { Plan, PlannedBatch, Reject, WrittenBatch } from "./batch.ts";

/**
 * Inserts rows, no two with the same key, in the order given, unless the table has the key. Inserts nothing when it throws.
 *
 * @returns for each row the heart rate that the table had before, or null if the row was inserted
 */
export type InsertMissing = (rows: Int32Array) => Promise<readonly (number | null)[]>;

/** Assumes that the table has none of the keys yet. */
export function assumeNoConflicts(batch: PlannedBatch): WrittenBatch {
  const placement = new Placement(batch.plan);
  for (let key = 0; key < placement.heads.length; key++) placement.settle(key, null);
  return placement.written(batch);
}

/**
 * Inserts the new readings. If PostgreSQL refuses a value, the readings are halved until the refused one is alone: about
 * 2 log2 n inserts find one of n, and all others are stored.
 */
export async function insertChecked(
  batch: PlannedBatch,
  insertMissing: InsertMissing,
): Promise<WrittenBatch> {
  const placement = new Placement(batch.plan);
  const place = async (from: number, to: number): Promise<void> => {
    if (from === to) return;
    try {
      const present = await insertMissing(placement.heads.subarray(from, to));
      for (let key = from; key < to; key++) placement.settle(key, present[key - from] ?? null);
    } catch (error) {
      if (!isDataError(error)) throw error;
      if (to - from === 1) return placement.refuse(from, error) ? await place(from, to) : undefined;
      const middle = (from + to) >> 1;
      await place(from, middle);
      await place(middle, to);
    }
  };
  await place(0, placement.heads.length);
  return placement.written(batch);
}

class Placement {
  /** For each key, the place in the plan's rows of the reading to try: those before it were refused. */
  readonly #tried: Int32Array;
  readonly heads: Int32Array;
  readonly #stored: Int32Array;
  #storedCount = 0;
  readonly #rejects: Reject[];
  #duplicates = 0;

  constructor(private readonly plan: Plan) {
    this.#tried = plan.keys.slice(0, -1);
    this.heads = this.#tried.map((at) => plan.rows[at] ?? 0);
    this.#stored = new Int32Array(this.heads.length);
    this.#rejects = [...plan.rejects];
  }

  /** @param present the heart rate that the table had for this key, or null if the batch's reading was inserted */
  settle(key: number, present: number | null): void {
    const { rows, keys, readings } = this.plan;
    const tried = this.#tried[key] ?? 0;
    const head = this.heads[key] ?? 0;
    if (present === null) this.#stored[this.#storedCount++] = head;
    else this.#repeat(head, present);
    const kept = present ?? readings.heartRate[head] ?? 0;
    for (let at = tried + 1; at < (keys[key + 1] ?? 0); at++) this.#repeat(rows[at] ?? 0, kept);
  }

  /** Rejects a reading that PostgreSQL refused. @returns whether the batch has another reading with this key to try */
  refuse(key: number, error: unknown): boolean {
    const { keys, rows } = this.plan;
    const detail = `PostgreSQL refused it: ${describeError(error)}`;
    this.#reject(this.heads[key] ?? 0, "database_rejected", detail);
    const next = (this.#tried[key] ?? 0) + 1;
    if (next === keys[key + 1]) return false;
    this.#tried[key] = next;
    this.heads[key] = rows[next] ?? 0;
    return true;
  }

  written(batch: PlannedBatch): WrittenBatch {
    const counts = {
      stored: this.#storedCount,
      duplicates: this.#duplicates,
      rejected: this.#rejects.length,
      gaps: batch.slice.gaps.reduce((sum, { from, to }) => sum + to - from, 0),
    };
    const stored = this.#stored.subarray(0, this.#storedCount);
    return { ...batch, kind: "written", counts, stored, rejects: this.#rejects };
  }

  #repeat(row: number, kept: number): void {
    const heartRate = this.plan.readings.heartRate[row];
    if (heartRate === kept) {
      this.#duplicates++;
      return;
    }
    const detail =
      `heart_rate: is ${heartRate}, expected ${kept} as stored before for this customer and instant`;
    this.#reject(row, "conflicting_duplicate", detail);
  }

  #reject(row: number, reason: Reject["reason"], detail: string): void {
    const { readings, records } = this.plan;
    const record = records.at(readings.record[row] ?? 0);
    if (record === undefined) throw new TypeError(`row ${row} was made from no record of its batch`);
    this.#rejects.push({ record, reason, detail });
  }
}
