/**
 * Group commit: batches that arrive while transactions are in flight share the next transaction. So a quiet pipeline does not
 * commit once for each partition.
 */
import type { PlannedBatch, WriteOutcome } from "./batch.ts";

/** Starts another transaction at once when this many records wait, although others are in flight. */
const COMMIT_AT_RECORDS = 1_000;
/**
 * Batches share a transaction up to so many records; a longer one has its own. Larger groups, of 60,000 records in two
 * transactions at once, were not faster with 100,000 customers: joining them costs what the index saves.
 */
const MAX_GROUP_RECORDS = 4_000;
/** Minimum delay between small commits: a commit costs the same for one reading as for twenty. */
const MIN_COMMIT_DELAY_MS = 3;
/** Maximum time a batch waits for others while a connection is free: the transaction in flight may be stuck. */
const MAX_WAIT_MS = 20;

/**
 * `grouped`: several batches share a transaction, which fails as a whole when the table has a key, or when PostgreSQL refuses a
 * reading. `single`: the same, with one batch. `checked`: one batch, in which duplicates and refused readings are found.
 */
export type InsertMode = "grouped" | "single" | "checked";

export interface Transactions {
  /** @returns the outcome of each */
  readonly writeGroup: (batches: readonly PlannedBatch[]) => Promise<readonly WriteOutcome[]>;
  readonly writeChecked: (batch: PlannedBatch) => Promise<WriteOutcome>;
}

/** A batch that waits for a transaction. */
export interface Candidate {
  readonly records: () => number;
  /** Its transaction begins. @returns undefined when the batch was abandoned meanwhile */
  readonly begin: () => Promise<PlannedBatch | undefined>;
  readonly insertMode: InsertMode;
}

interface Waiting extends Candidate {
  readonly since: number;
  readonly resolve: (outcome: WriteOutcome | undefined) => void;
  readonly reject: (error: unknown) => void;
}

export class GroupCommit {
  #busy = 0;
  #lastBegun = -Infinity;
  readonly #queue: Waiting[] = [];
  /** The next look at the queue. */
  #nextCheck: { readonly at: number; readonly timer: ReturnType<typeof setTimeout> } | undefined;

  /** @param maxInFlight transactions in flight, at most */
  constructor(
    public maxInFlight: number,
    private readonly transactions: Transactions,
    private readonly minCommitDelayMs = MIN_COMMIT_DELAY_MS,
  ) {}

  /** @returns undefined when the batch was abandoned before it was sent */
  write(candidate: Candidate): Promise<WriteOutcome | undefined> {
    const { promise, resolve, reject } = Promise.withResolvers<WriteOutcome | undefined>();
    this.#queue.push({ ...candidate, since: performance.now(), resolve, reject });
    // Not at once: one answer of a broker brings batches of several partitions.
    this.#checkAfter(0);
    return promise;
  }

  #checkAfter(ms: number): void {
    const at = performance.now() + ms;
    if (this.#nextCheck !== undefined && this.#nextCheck.at <= at) return;
    clearTimeout(this.#nextCheck?.timer);
    const timer = setTimeout(() => {
      this.#nextCheck = undefined;
      this.#begin();
    }, ms);
    this.#nextCheck = { at, timer };
  }

  #begin(): void {
    for (
      let first = this.#queue[0];
      first !== undefined && this.#busy < this.maxInFlight;
      first = this.#queue[0]
    ) {
      const pause = this.#pauseBefore(first);
      if (pause > 0) return this.#checkAfter(Math.ceil(pause));
      this.#lastBegun = performance.now();
      this.#busy++;
      void this.#commit(this.#takeGroup()).then(() => {
        this.#busy--;
        this.#begin();
      });
    }
  }

  /** How long the first of the queue waits for more, milliseconds. */
  #pauseBefore({ since }: Waiting): number {
    if (this.#queue.reduce((sum, { records }) => sum + records(), 0) >= COMMIT_AT_RECORDS) return 0;
    const until = this.#busy > 0 ? since + MAX_WAIT_MS : this.#lastBegun + this.minCommitDelayMs;
    return until - performance.now();
  }

  #takeGroup(): Waiting[] {
    let records = 0;
    let count = 0;
    for (const waiting of this.#queue) {
      records += waiting.records();
      if (count > 0 && (waiting.insertMode !== "grouped" || records > MAX_GROUP_RECORDS)) break;
      count++;
      if (waiting.insertMode !== "grouped") break;
    }
    return this.#queue.splice(0, count);
  }

  /** Settles every batch of the group; never rejects. */
  async #commit(group: readonly Waiting[]): Promise<void> {
    const begun = await Promise.all(group.map(async (waiting) => {
      const batch = await waiting.begin().catch(waiting.reject);
      if (batch === undefined) waiting.resolve(undefined);
      return batch === undefined ? [] : [{ batch, waiting }];
    }));
    const members = begun.flat();
    const [first] = members;
    if (first === undefined) return;
    const { writeGroup, writeChecked } = this.transactions;
    try {
      const outcomes = first.waiting.insertMode === "checked"
        ? [await writeChecked(first.batch)]
        : await writeGroup(members.map(({ batch }) => batch));
      members.forEach(({ waiting }, index) => waiting.resolve(outcomes[index]));
    } catch (error) {
      for (const { waiting } of members) waiting.reject(error);
    }
  }
}
