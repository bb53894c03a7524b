import { deepStrictEqual, ok, strictEqual } from "node:assert";
import type {
  Counts,
  PlannedBatch,
  Reject,
  WriteOutcome,
  WrittenBatch,
} from "../../workers/consumer/store/batch.ts";
import type { Transactions } from "../../workers/consumer/store/group_commit.ts";
import { assumeNoConflicts, insertChecked } from "../../workers/consumer/store/placement.ts";

export const REFUSED = "22003";
export const REPEATED = "23505";
export const CANCELED = "57014";
export const DEADLOCK = "40P01";

export function answer(code: string, message: string): Error {
  return Object.assign(new Error(message), { code });
}

/** Replaces the tables by memory. A test can make its writes fail. */
export class MemorySink implements Transactions {
  readonly rows = new Map<string, number>();
  rejects: readonly Reject[] = [];
  counts: Counts | undefined;
  nextOffset = 0;
  inserts: string[] = [];
  /** Customers whose rows the database refuses. */
  readonly refuses = new Set<string>();
  /** Each of the next writes fails with one of these errors, before it inserts anything. */
  readonly failures: Error[] = [];
  /** Each of the next inserts fails with one of these errors. */
  readonly insertFailures: Error[] = [];
  /** Each of the next writes ends with one of these outcomes after all its inserts succeeded. It keeps no row. */
  readonly conclusions: (Error | WriteOutcome)[] = [];
  onWrite = () => {};
  /** After this many inserts in one attempt, the connection is lost at the next insert. */
  mostInserts = Infinity;
  /** A larger insert is canceled, as by the statement timeout. */
  mostRows = Infinity;

  readonly writeGroup = async ([batch]: readonly PlannedBatch[]) => {
    ok(batch !== undefined);
    const written = assumeNoConflicts(batch);
    return [
      await this.#transaction(batch, async (insert) => {
        if (written.stored.length > 0) await insert("copy", written.stored);
        return written;
      }),
    ];
  };

  readonly writeChecked = (batch: PlannedBatch) =>
    this.#transaction(batch, (insert) => insertChecked(batch, (rows) => insert("merge", rows)));

  async #transaction(
    { slice, plan: { readings } }: PlannedBatch,
    work: (
      insert: (how: "copy" | "merge", rows: Int32Array) => Promise<(number | null)[]>,
    ) => Promise<WrittenBatch>,
  ): Promise<WriteOutcome> {
    this.onWrite();
    const before = this.inserts.length;
    const failure = this.failures.shift();
    if (failure !== undefined) throw failure;
    if (this.nextOffset !== slice.from) return { kind: "offset mismatch", nextOffset: this.nextOffset };
    const rows = new Map(this.rows);
    // deno-lint-ignore require-await -- a throw must become a rejected promise
    const written = await work(async (how, added) => {
      const all = [...added].map((row) => readings.reading(row));
      this.inserts.push(`${how} ${all.length}`);
      if (this.inserts.length - before > this.mostInserts) throw new Error("connection lost");
      if (all.length > this.mostRows) throw answer(CANCELED, "canceled");
      const failure = this.insertFailures.shift();
      if (failure !== undefined) throw failure;
      const keys = all.map(({ customerId }) => customerId);
      deepStrictEqual(keys, [...new Set(keys)].sort(), "keys must be unique and ordered");
      if (how === "copy" && keys.some((key) => rows.has(key))) throw answer(REPEATED, "repeated");
      if (keys.some((key) => this.refuses.has(key))) throw answer(REFUSED, "refused");
      const present = keys.map((key) => rows.get(key) ?? null);
      for (const { customerId, heartRate } of all) if (!rows.has(customerId)) rows.set(customerId, heartRate);
      return present;
    });
    const { counts, stored, rejects } = written;
    strictEqual(stored.length, counts.stored, "the derived rows must be the stored rows");
    const conclusion = this.conclusions.shift();
    if (conclusion instanceof Error) throw conclusion;
    if (conclusion !== undefined) return conclusion;
    for (const [key, heartRate] of rows) this.rows.set(key, heartRate);
    this.rejects = rejects;
    this.counts = counts;
    this.nextOffset = slice.next;
    return written;
  }
}
