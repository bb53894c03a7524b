/**
 * Turns to write, as many as there are connections for it. A few records are not worth a transaction of their own: what
 * gathers while one is under way takes the next turn together, so that a quiet pipeline commits as often as the disk
 * allows and not once for each partition.
 */
import type { Write, WriteOutcome, WriteRequest } from "./batch.ts";

/** With so many records a turn begins although others are under way. */
const WORTH_A_TURN = 1_000;
/** Attempts share a turn up to so many records; a longer batch has its turn for itself. */
const SHARED_RECORDS = 4_000;
/** So far apart they begin while there is less to write: a commit costs the same for one reading as for twenty. */
const BETWEEN_TURNS_MS = 3;
/** Nobody waits longer for company while a connection is free: the transaction under way may be stuck. */
const PATIENCE_MS = 20;

interface Waiting {
  /** How many it would write now. */
  readonly records: () => number;
  readonly since: number;
  /** Never rejects. */
  readonly run: (turn: Turn) => Promise<void>;
}

/** Writes what the attempts of one turn ask for; settles each request and never rejects. */
type Execute = (requests: readonly WriteRequest[]) => Promise<void>;

/** Handed out in the order in which they were asked for. */
export class SharedTurns {
  #free: number;
  #lastBegun = -Infinity;
  readonly #queue: Waiting[] = [];
  /** The next look at the queue. */
  #look: { readonly at: number; readonly timer: ReturnType<typeof setTimeout> } | undefined;

  constructor(
    private readonly count: number,
    private readonly execute: Execute,
    private readonly betweenTurnsMs = BETWEEN_TURNS_MS,
  ) {
    this.#free = count;
  }

  /** Runs an attempt when it has a turn. @param records how many it would write now */
  take<T>(records: () => number, attempt: (turn: Turn) => Promise<T>): Promise<T> {
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    const run = (turn: Turn) => attempt(turn).then(resolve, reject).finally(() => turn.leave());
    this.#queue.push({ records, since: performance.now(), run });
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
    for (let first = this.#queue[0]; first !== undefined && this.#free > 0; first = this.#queue[0]) {
      const pause = this.#pauseBefore(first);
      if (pause > 0) return this.#lookAfter(Math.ceil(pause));
      this.#lastBegun = performance.now();
      const company = this.#takeCompany();
      const turn = new Turn(company.length, this.execute);
      this.#free--;
      void Promise.all(company.map(({ run }) => run(turn))).then(() => {
        this.#free++;
        this.#begin();
      });
    }
  }

  /** How long the first of the queue shall wait for more, milliseconds. */
  #pauseBefore({ since }: Waiting): number {
    if (this.#queue.reduce((sum, { records }) => sum + records(), 0) >= WORTH_A_TURN) return 0;
    const until = this.#free < this.count ? since + PATIENCE_MS : this.#lastBegun + this.betweenTurnsMs;
    return until - performance.now();
  }

  #takeCompany(): Waiting[] {
    let records = 0;
    let count = 0;
    for (const waiting of this.#queue) {
      records += waiting.records();
      if (count > 0 && records > SHARED_RECORDS) break;
      count++;
    }
    return this.#queue.splice(0, count);
  }
}

/** A turn that some attempts have together. What they want to write is written when none of them does anything else. */
export class Turn {
  #executing = false;
  #requests: WriteRequest[] = [];

  /** @param busy attempts that are not waiting for their write */
  constructor(private busy: number, private readonly execute: Execute) {}

  /** @throws PipelineError `schema_too_new` when the schema's generation is not the program's */
  write(write: Write): Promise<WriteOutcome> {
    const { promise, resolve, reject } = Promise.withResolvers<WriteOutcome>();
    // Who has its answer is busy again before it can do anything with it.
    const back = <V>(settle: (value: V) => void) => (value: V) => {
      this.busy++;
      settle(value);
    };
    this.#requests.push({ ...write, resolve: back(resolve), reject: back(reject) });
    this.leave();
    return promise;
  }

  /** An attempt that has ended holds nobody back. */
  leave(): void {
    this.busy--;
    void this.#executeWhenAllWait();
  }

  async #executeWhenAllWait(): Promise<void> {
    if (this.busy > 0 || this.#executing || this.#requests.length === 0) return;
    this.#executing = true;
    const requests = this.#requests;
    this.#requests = [];
    await this.execute(requests);
    this.#executing = false;
    await this.#executeWhenAllWait();
  }
}
