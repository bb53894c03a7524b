/** Batches that arrive while transactions are in flight share the next one: docs/decisions/0017-group-commit.md. */
import type { PlannedBatch, WriteOutcome } from "./batch.ts";

/** Starts another transaction at once when this many records wait, even while other transactions are in flight. */
const COMMIT_AT_RECORDS = 1_000;
/** Larger groups are not faster: for 60,000 records of 100,000 customers, joining the readings cost as much as the index saved. */
const MAX_GROUP_RECORDS = 4_000;
/** Minimum delay between small commits: a commit costs the same for one reading as for twenty. */
const MIN_COMMIT_DELAY_MS = 3;
/** Maximum time that a batch waits for others while a connection is free: the transaction in flight may hang. */
const MAX_WAIT_MS = 20;

/**
 * `grouped` (several batches) and `single` (one batch) fail as a whole if the table has one of the keys, or PostgreSQL refuses
 * a reading. `checked` (one batch) finds the duplicates and the refused readings.
 */
export type InsertMode = "grouped" | "single" | "checked";

export interface Transactions {
  readonly writeGroup: (batches: readonly PlannedBatch[]) => Promise<readonly WriteOutcome[]>;
  readonly writeChecked: (batch: PlannedBatch) => Promise<WriteOutcome>;
}

/** A batch to be written. It can grow until `begin` is called, which returns undefined if the batch is abandoned. */
export interface Candidate {
  readonly records: () => number;
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
  #nextCheck: { readonly at: number; readonly timer: ReturnType<typeof setTimeout> } | undefined;

  constructor(
    public maxInFlight: number,
    private readonly transactions: Transactions,
    private readonly minCommitDelayMs = MIN_COMMIT_DELAY_MS,
  ) {}

  write(candidate: Candidate): Promise<WriteOutcome | undefined> {
    const { promise, resolve, reject } = Promise.withResolvers<WriteOutcome | undefined>();
    this.#queue.push({ ...candidate, since: performance.now(), resolve, reject });
    // Begins later in the event loop, because one fetch response brings batches of several partitions.
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
    while (this.#busy < this.maxInFlight) {
      const [first] = this.#queue;
      if (first === undefined) return;
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

  /** How long the first batch of the queue still waits for others, in milliseconds. */
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

  /** Settles each batch of the group, and never rejects. */
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
