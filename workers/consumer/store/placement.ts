/** Decides for each reading of a batch: stored, duplicate or rejected. */
import { describeError } from "../../_shared/errors.ts";
import { isDataError } from "../../_shared/postgres_errors.ts";
import type { PlannedBatch, Reject, WrittenBatch } from "./batch.ts";

/** Assumes that the table has none of the keys, and that PostgreSQL refuses nothing. */
export function assumeNoConflicts(batch: PlannedBatch): WrittenBatch {
  const placement = new Placement(batch);
  for (let key = 0; key < placement.heads.length; key++) placement.settle(key, null);
  return placement.written();
}

/**
 * If PostgreSQL refuses a value, halves the readings until the refused one is alone. To find one of n takes about 2 log2 n inserts.
 *
 * @param insertMissing inserts the rows whose keys the table does not have, or no row if it throws; returns for each row the heart
 *   rate that the table had before, or null
 */
export async function insertChecked(
  batch: PlannedBatch,
  insertMissing: (rows: Int32Array) => Promise<readonly (number | null)[]>,
): Promise<WrittenBatch> {
  const placement = new Placement(batch);
  const insertKeys = async (from: number, to: number): Promise<void> => {
    if (from === to) return;
    try {
      const present = await insertMissing(placement.heads.subarray(from, to));
      for (let key = from; key < to; key++) placement.settle(key, present[key - from] ?? null);
    } catch (error) {
      if (!isDataError(error)) throw error;
      if (to - from === 1) return placement.refuse(from, error) ? await insertKeys(from, to) : undefined;
      const middle = (from + to) >> 1;
      await insertKeys(from, middle);
      await insertKeys(middle, to);
    }
  };
  await insertKeys(0, placement.heads.length);
  return placement.written();
}

class Placement {
  /** For each key, the row to insert: the first one of the key that PostgreSQL has not refused. */
  readonly heads: Int32Array;
  /** The indexes of `heads` in `plan.rows`. */
  readonly #headIndexes: Int32Array;
  readonly #stored: Int32Array;
  #storedCount = 0;
  readonly #rejects: Reject[];
  #duplicates = 0;

  constructor(private readonly batch: PlannedBatch) {
    const { plan } = batch;
    this.#headIndexes = plan.keys.slice(0, -1);
    this.heads = this.#headIndexes.map((index) => plan.rows[index] ?? 0);
    this.#stored = new Int32Array(this.heads.length);
    this.#rejects = [...plan.rejects];
  }

  /** @param present the heart rate that the table had for this key, or null if it had none */
  settle(key: number, present: number | null): void {
    const { rows, keys, readings } = this.batch.plan;
    const head = this.heads[key] ?? 0;
    if (present === null) this.#stored[this.#storedCount++] = head;
    else this.#repeat(head, present);
    const kept = present ?? readings.heartRate[head] ?? 0;
    const end = keys[key + 1] ?? 0;
    for (let index = (this.#headIndexes[key] ?? 0) + 1; index < end; index++) {
      this.#repeat(rows[index] ?? 0, kept);
    }
  }

  /** @returns whether the batch has another reading of this key, which is now the one to insert */
  refuse(key: number, error: unknown): boolean {
    const { keys, rows } = this.batch.plan;
    const detail = `PostgreSQL refused it: ${describeError(error)}`;
    this.#reject(this.heads[key] ?? 0, "database_rejected", detail);
    const next = (this.#headIndexes[key] ?? 0) + 1;
    if (next === keys[key + 1]) return false;
    this.#headIndexes[key] = next;
    this.heads[key] = rows[next] ?? 0;
    return true;
  }

  written(): WrittenBatch {
    const counts = {
      stored: this.#storedCount,
      duplicates: this.#duplicates,
      rejected: this.#rejects.length,
      gaps: this.batch.slice.gaps.reduce((sum, { from, to }) => sum + to - from, 0),
    };
    const stored = this.#stored.subarray(0, this.#storedCount);
    return { ...this.batch, kind: "written", counts, stored, rejects: this.#rejects };
  }

  #repeat(row: number, kept: number): void {
    const heartRate = this.batch.plan.readings.heartRate[row];
    if (heartRate === kept) return void this.#duplicates++;
    const expected = `expected ${kept} as stored before for this customer and instant`;
    this.#reject(row, "conflicting_duplicate", `heart_rate: is ${heartRate}, ${expected}`);
  }

  #reject(row: number, reason: Reject["reason"], detail: string): void {
    const { readings, records } = this.batch.plan;
    const record = records.at(readings.record[row] ?? 0);
    if (record === undefined) throw new TypeError(`row ${row} belongs to no record of its batch`);
    this.#rejects.push({ record, reason, detail });
  }
}
