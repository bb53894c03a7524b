/** A sink without PostgreSQL: what the processing of a batch meets can be said in advance. */
import { strictEqual } from "node:assert";
import { insistOnAnswer } from "../../workers/_shared/postgres_errors.ts";
import type { Counts, Reject, Write, WriteOutcome } from "../../workers/consumer/store/batch.ts";

export const REFUSED = "22003";
export const REPEATED = "23505";
export const CANCELED = "57014";
export const DEADLOCK = "40P01";

/** What the server says. */
export function answer(code: string, message: string): Error {
  return Object.assign(new Error(message), { code });
}

/** A table and a ledger in memory that fail on demand. */
export class MemorySink {
  readonly rows = new Map<string, number>();
  rejects: readonly Reject[] = [];
  counts: Counts | undefined;
  nextOffset = 0;
  inserts: string[] = [];
  /** Keys that the database refuses, by customer. */
  readonly refuses = new Set<string>();
  /** Thrown by the next writes, one each. */
  readonly failures: Error[] = [];
  /** Thrown by the next inserts, one each. */
  readonly insertFailures: Error[] = [];
  /** How the next writes end once everything is inserted, one each; nothing is kept then. */
  readonly conclusions: (Error | WriteOutcome)[] = [];
  /** The next commit takes place, and its answer is lost. */
  loseAnswer = false;
  /** The server's answer to the next attempt when it has asked for everything; meanwhile another owner writes the batch. */
  refusal: Error | undefined;
  onWrite = () => {};
  /** An attempt with more inserts takes too long. */
  mostInserts = Infinity;
  /** An insert of more rows takes too long. */
  mostRows = Infinity;

  async write({ from, work }: Write): Promise<WriteOutcome> {
    this.onWrite();
    const before = this.inserts.length;
    const failure = this.failures.shift();
    if (failure !== undefined) throw failure;
    if (this.nextOffset !== from) return { kind: "stale", nextOffset: this.nextOffset };
    const rows = new Map(this.rows);
    const written = await work((batch, indices, mode) => {
      const readings = [...indices].map((row) => batch.reading(row));
      this.inserts.push(`${mode} ${readings.length}`);
      if (this.inserts.length - before > this.mostInserts) {
        return Promise.reject(new Error("connection lost"));
      }
      if (readings.length > this.mostRows) return Promise.reject(answer(CANCELED, "no time"));
      const failure = this.insertFailures.shift();
      if (failure !== undefined) return Promise.reject(failure);
      const keys = readings.map(({ customerId }) => customerId);
      if (new Set(keys).size !== keys.length) throw new TypeError("the same key twice in one insert");
      if (keys.some((key, at) => at > 0 && key < (keys[at - 1] ?? ""))) {
        throw new TypeError("keys out of order");
      }
      if (mode === "copy" && keys.some((key) => rows.has(key))) {
        return Promise.reject(answer(REPEATED, "repeated"));
      }
      if (keys.some((key) => this.refuses.has(key))) return Promise.reject(answer(REFUSED, "no"));
      const present = keys.map((key) => rows.get(key));
      keys.forEach((key, at) => {
        if (!rows.has(key)) rows.set(key, readings[at]?.heartRate ?? NaN);
      });
      return Promise.resolve(mode === "copy" ? "all stored" as const : present);
    });
    const { slice, batch: { counts, stored, rejects } } = written;
    strictEqual(stored.length, counts.stored, "what is derived counts exactly the stored rows");
    const conclusion = this.conclusions.shift();
    if (conclusion instanceof Error) throw conclusion;
    if (conclusion !== undefined) return conclusion;
    const { refusal } = this;
    if (refusal !== undefined) {
      this.refusal = undefined;
      this.nextOffset = slice.next;
      throw refusal;
    }
    for (const [key, heartRate] of rows) this.rows.set(key, heartRate);
    this.rejects = rejects;
    this.counts = counts;
    this.nextOffset = slice.next;
    if (this.loseAnswer) {
      this.loseAnswer = false;
      return await insistOnAnswer(Promise.reject(new Error("connection lost")));
    }
    return written;
  }
}
