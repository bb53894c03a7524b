/**
 * Folder `health`: whether the consumer can work (readiness), whether it gets on (liveness), and what time it is. It
 * judges by facts that others report. It never acts by itself, and it never writes to the log or to a table.
 */

/** No loop may go on for longer without an attempt that began or ended, and no lag without a commit. */
export const STALL_MS = 30_000;
/** A dependency counts as answering while its last answer is not older. */
const ANSWER_AGE_MS = 10_000;
/** A join may take as long as the session of a member that died, so it is given longer than an attempt. */
const JOIN_MS = 90_000;
/**
 * A partition is stuck when its writes failed so often in a row, over more than `STALL_MS`. Lag alone does not tell: its next
 * turn may be minutes away. Nor does one failure: it may be a neighbour's in the same transaction.
 */
const FAILURES_IN_A_ROW = 5;
/** Red for this long, the process ends itself: a supervisor may watch exit codes only. */
const GIVE_UP_MS = 30_000;

/** A clock that never jumps, in milliseconds. */
export type MonotonicClock = () => number;

/** By its name; where there may be two of one name (a partition's predecessor is still closing), each by its own object. */
export type Loop = string | { readonly name: string };

/** The loop that writes a partition. */
export type Writer = { readonly name: string; readonly partition: number };

/** The loops that must not hang; a loop is watched from its first mark until it is idle. */
export class Progress {
  /** Initial reasons: a consumer is not ready until each of them is removed. */
  readonly #reasons = new Map([
    ["database", "not connected yet, or its schema is not current"],
    ["kafka", "not connected yet"],
    ["group", "not joined yet"],
  ]);
  /** What the database last refused or failed to do for a partition. */
  readonly #databaseReasons = new Map<Writer, string>();
  readonly #failures = new Map<Writer, { times: number; since: number; last: number }>();
  readonly #marks = new Map<Loop, number>();
  readonly #answers = new Map<"kafka" | "database", number>();
  #databaseRefuses = false;
  #outsideSince: number | undefined;
  #lagSince: number | undefined;
  #lastCommit = 0;
  #redSince: number | undefined;

  constructor(private readonly clock: MonotonicClock = () => performance.now()) {}

  notReady(subject: string, reason: string): void {
    this.#reasons.set(subject, reason);
  }

  ready(subject: string): void {
    this.#reasons.delete(subject);
  }

  /** An attempt of this loop began or ended. */
  mark(loop: Loop): void {
    this.#marks.set(loop, this.clock());
  }

  /** The loop waits for work, for however long. */
  idle(loop: Loop): void {
    this.#marks.delete(loop);
  }

  answered(dependency: "kafka" | "database"): void {
    this.#answers.set(dependency, this.clock());
  }

  /** It answers, but only that it cannot write for a reason of its own: away, until a write says otherwise. */
  databaseRefuses(refuses: boolean): void {
    this.#databaseRefuses = refuses;
  }

  /** Not ready, because of this partition, until the database works for it or it is closed. */
  databaseFailed(writer: Writer, reason: string): void {
    this.#databaseReasons.set(writer, reason);
  }

  /** Call it after what this failure said to {@link databaseRefuses}. */
  writeFailed(writer: Writer): void {
    // While the database is away, or can do nothing, a failure says nothing of the partition.
    if (!this.#answersFrom("database")) return void this.#failures.delete(writer);
    const now = this.clock();
    const { times, since } = this.#failures.get(writer) ?? { times: 0, since: now };
    this.#failures.set(writer, { times: times + 1, since, last: now });
  }

  databaseWorks(writer: Writer): void {
    this.answered("database");
    this.#databaseRefuses = false;
    this.closed(writer);
  }

  /** The partition is not ours to write any more: what was said of it does not hold. */
  closed(writer: Writer): void {
    this.#databaseReasons.delete(writer);
    this.#failures.delete(writer);
  }

  committed(): void {
    this.#lastCommit = this.clock();
  }

  /** While the group does not have us nothing is ours to read, so nothing shows as lag. */
  member(isMember: boolean): void {
    if (isMember) this.#outsideSince = undefined;
    else this.#outsideSince ??= this.clock();
  }

  /** @param records how many committed records of our partitions are not stored yet although they could be */
  lag(records: number): void {
    if (records === 0) this.#lagSince = undefined;
    else this.#lagSince ??= this.clock();
  }

  /** Why the work cannot be done at the moment; empty when it can. */
  readyReasons(): string[] {
    // An outage has one reason for hundreds of partitions.
    const failing = [...Map.groupBy(this.#databaseReasons, ([, reason]) => reason)];
    return [
      ...[...this.#reasons].map(([subject, reason]) => `${subject}: ${reason}`),
      ...failing.map(([reason, of]) => `database: ${reason} (${numbers(of)})`),
    ];
  }

  /** Why the process should be restarted; empty while it gets on. */
  liveReasons(): string[] {
    const now = this.clock();
    const reasons: string[] = [];
    for (const [loop, at] of this.#marks) {
      const name = typeof loop === "string" ? loop : loop.name;
      if (now - at > STALL_MS) reasons.push(`${name}: no attempt began or ended for ${seconds(now - at)}`);
    }
    if (this.#lagSince !== undefined && this.#answersFrom("kafka") && this.#answersFrom("database")) {
      const stalled = "writes: lag, and both servers answer, yet nothing was committed";
      const stalledFor = now - Math.max(this.#lagSince, this.#lastCommit);
      if (stalledFor > STALL_MS) reasons.push(`${stalled} for ${seconds(stalledFor)}`);
      const stuck = [...this.#failures]
        .filter(([, { times, since, last }]) => times >= FAILURES_IN_A_ROW && last - since > STALL_MS);
      if (stuck.length > 0) {
        const stuckFor = now - Math.min(...stuck.map(([, { since }]) => since));
        reasons.push(`${stalled} of ${numbers(stuck)} for ${seconds(stuckFor)}`);
      }
    }
    const outsideFor = now - (this.#outsideSince ?? now);
    if (outsideFor > JOIN_MS && this.#answersFrom("kafka")) {
      reasons.push(`group: Kafka answers, yet we are no member for ${seconds(outsideFor)}`);
    }
    this.#redSince = reasons.length === 0 ? undefined : this.#redSince ?? now;
    return reasons;
  }

  #answersFrom(dependency: "kafka" | "database"): boolean {
    if (dependency === "database" && this.#databaseRefuses) return false;
    return this.clock() - (this.#answers.get(dependency) ?? -Infinity) <= ANSWER_AGE_MS;
  }

  /** Whether it has been red for so long that ending the process is the only thing left to try. */
  isStuck(): boolean {
    this.liveReasons();
    return this.#redSince !== undefined && this.clock() - this.#redSince > GIVE_UP_MS;
  }
}

function numbers(of: readonly (readonly [Writer, unknown])[]): string {
  return `partition ${of.map(([{ partition }]) => partition).join(", ")}`;
}

function seconds(ms: number): string {
  return `${Math.round(ms / 1000)} s`;
}
