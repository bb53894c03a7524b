/**
 * Group commit: what gathers while transactions are under way shares the next one, so that a quiet pipeline commits as
 * often as the disk allows and not once for each partition.
 */
import type { PlannedBatch, WriteOutcome } from "./batch.ts";

/** Starts another transaction at once when so many records wait, although others are under way. */
const WORTH_A_COMMIT = 1_000;
/**
 * Batches share a transaction up to so many records; a longer one has its own. Larger groups, of 60,000 records in two
 * transactions at once, were not faster with 100,000 customers: joining them costs what the index saves.
 */
const SHARED_RECORDS = 4_000;
/** Minimum delay between small commits: a commit costs the same for one reading as for twenty. */
const BETWEEN_COMMITS_MS = 3;
/** Maximum time a batch waits for others while a connection is free: the transaction under way may be stuck. */
const PATIENCE_MS = 20;

/**
 * `together`: in a transaction that several share, which fails as a whole when a key is in the table, or when PostgreSQL
 * refuses a reading. `alone`: the same, for one batch. `with care`: for one batch, and what is there is told from what is
 * new, and refused readings are set apart.
 */
export type Way = "together" | "alone" | "with care";

export interface Transactions {
  /** @returns the outcome of each */
  readonly writeGroup: (batches: readonly PlannedBatch[]) => Promise<readonly WriteOutcome[]>;
  readonly writeWithCare: (batch: PlannedBatch) => Promise<WriteOutcome>;
}

/** A batch that waits for a transaction. */
export interface Candidate {
  /** How many records it would write now. */
  readonly records: () => number;
  /** It is in a transaction's group. @returns undefined when it was given up meanwhile */
  readonly begin: () => Promise<PlannedBatch | undefined>;
  readonly way: Way;
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
  #look: { readonly at: number; readonly timer: ReturnType<typeof setTimeout> } | undefined;

  /** @param width how many transactions may be under way at once */
  constructor(
    public width: number,
    private readonly transactions: Transactions,
    private readonly betweenCommitsMs = BETWEEN_COMMITS_MS,
  ) {}

  /** @returns undefined when the batch was given up before it was sent */
  write(candidate: Candidate): Promise<WriteOutcome | undefined> {
    const { promise, resolve, reject } = Promise.withResolvers<WriteOutcome | undefined>();
    this.#queue.push({ ...candidate, since: performance.now(), resolve, reject });
    // What one answer of a broker brings for several partitions shall meet.
    this.#lookAfter(0);
    return promise;
  }

  #lookAfter(ms: number): void {
    const at = performance.now() + ms;
    if (this.#look !== undefined && this.#look.at <= at) return;
    clearTimeout(this.#look?.timer);
    const timer = setTimeout(() => {
      this.#look = undefined;
      this.#begin();
    }, ms);
    this.#look = { at, timer };
  }

  #begin(): void {
    for (let first = this.#queue[0]; first !== undefined && this.#busy < this.width; first = this.#queue[0]) {
      const pause = this.#pauseBefore(first);
      if (pause > 0) return this.#lookAfter(Math.ceil(pause));
      this.#lastBegun = performance.now();
      this.#busy++;
      void this.#commit(this.#takeGroup()).then(() => {
        this.#busy--;
        this.#begin();
      });
    }
  }

  /** How long the first of the queue shall wait for more, milliseconds. */
  #pauseBefore({ since }: Waiting): number {
    if (this.#queue.reduce((sum, { records }) => sum + records(), 0) >= WORTH_A_COMMIT) return 0;
    const until = this.#busy > 0 ? since + PATIENCE_MS : this.#lastBegun + this.betweenCommitsMs;
    return until - performance.now();
  }

  #takeGroup(): Waiting[] {
    let records = 0;
    let count = 0;
    for (const waiting of this.#queue) {
      records += waiting.records();
      if (count > 0 && (waiting.way !== "together" || records > SHARED_RECORDS)) break;
      count++;
      if (waiting.way !== "together") break;
    }
    return this.#queue.splice(0, count);
  }

  /** Settles each of the group; never rejects. */
  async #commit(group: readonly Waiting[]): Promise<void> {
    const begun = await Promise.all(group.map(async (waiting) => {
      const batch = await waiting.begin().catch(waiting.reject);
      if (batch === undefined) waiting.resolve(undefined);
      return batch === undefined ? [] : [{ batch, waiting }];
    }));
    const members = begun.flat();
    const [first] = members;
    if (first === undefined) return;
    const { writeGroup, writeWithCare } = this.transactions;
    try {
      const outcomes = first.waiting.way === "with care"
        ? [await writeWithCare(first.batch)]
        : await writeGroup(members.map(({ batch }) => batch));
      members.forEach(({ waiting }, index) => waiting.resolve(outcomes[index]));
    } catch (error) {
      for (const { waiting } of members) waiting.reject(error);
    }
  }
}
