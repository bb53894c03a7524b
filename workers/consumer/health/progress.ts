/**
 * Folder `health`: whether the consumer can work (readiness), whether it gets on (liveness), and what time it is. It
 * judges by the facts that `telemetry` passes on. It never acts by itself, and it never writes to the log or to a table.
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
/** A task of the upkeep that fails for so long needs an operator: the consumer is not ready until it succeeds. */
const UPKEEP_MINUTES = 60;

/** A clock that never jumps, in milliseconds. */
export type MonotonicClock = () => number;

/** A partition from its assignment to its closing, known by the object: its predecessor may still be closing. */
export type Assigned = { readonly partition: number };

/** A loop by its name, or the one that writes a partition. */
export type Loop = string | Assigned;

type Reason = { subject: string; reason: string; of?: Assigned | undefined };

/** The subject of a partition about which an operator must decide. */
export const HELD = "place";

/** What may be asked of {@link Progress}; only the facts of `telemetry` move it. */
export type Health = Pick<Progress, "liveReasons" | "readyReasons" | "reasonOf" | "isStuck">;

/** The loops that must not hang; a loop is watched from its first mark until it is idle. */
export class Progress {
  /** Initial reasons: a consumer is not ready until each of them is removed. */
  #reasons: readonly Reason[] = [
    { subject: "database", reason: "not connected yet, or its schema is not current" },
    { subject: "kafka", reason: "not connected yet" },
    { subject: "group", reason: "not joined yet" },
  ];
  readonly #failures = new Map<Assigned, { times: number; since: number; last: number }>();
  readonly #upkeepFailingSince = new Map<string, number>();
  readonly #marks = new Map<Loop, number>();
  readonly #answers = new Map<"kafka" | "database", number>();
  #databaseRefuses = false;
  #outsideSince: number | undefined;
  #lagSince: number | undefined;
  #lastCommit = 0;
  #redSince: number | undefined;

  constructor(private readonly clock: MonotonicClock = () => performance.now()) {}

  /** @param of one partition's, until it is closed @returns whether the subject was ready before */
  notReady(subject: string, reason: string, of?: Assigned): boolean {
    const wasReady = !this.ready(subject, of);
    this.#reasons = [...this.#reasons, { subject, reason, of }];
    return wasReady;
  }

  /** @returns whether the subject was not ready before */
  ready(subject: string, of?: Assigned): boolean {
    const before = this.#reasons.length;
    this.#reasons = this.#reasons.filter((one) => one.subject !== subject || one.of !== of);
    return this.#reasons.length < before;
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

  /**
   * @param isUnable it answers, but only that it cannot write for a reason of its own: away, until a write says otherwise
   * @returns whether it worked for this partition before
   */
  databaseFailed(of: Assigned, reason: string, isUnable: boolean): boolean {
    this.#databaseRefuses = isUnable;
    return this.notReady("database", reason, of);
  }

  /** Call it after {@link databaseFailed}. */
  writeFailed(of: Assigned): void {
    // While the database is away, or can do nothing, a failure says nothing of the partition.
    if (!this.#answersFrom("database")) return void this.#failures.delete(of);
    const now = this.clock();
    const { times, since } = this.#failures.get(of) ?? { times: 0, since: now };
    this.#failures.set(of, { times: times + 1, since, last: now });
  }

  databaseWorks(of: Assigned): void {
    this.answered("database");
    this.#databaseRefuses = false;
    this.ready("database", of);
    this.#failures.delete(of);
  }

  /** The partition is not ours to write any more: what was said of it does not hold. */
  closed(of: Assigned): void {
    this.#reasons = this.#reasons.filter((one) => one.of !== of);
    this.#failures.delete(of);
  }

  /** @returns whether it was done the last time */
  upkeepFailed(task: string, reason: string): boolean {
    const since = this.#upkeepFailingSince.get(task);
    if (since === undefined) this.#upkeepFailingSince.set(task, this.clock());
    const minutes = Math.floor((this.clock() - (since ?? this.clock())) / 60_000);
    if (minutes >= UPKEEP_MINUTES) this.notReady(task, `failing for ${minutes} minutes: ${reason}`);
    return since === undefined;
  }

  upkeepDone(task: string): void {
    this.#upkeepFailingSince.delete(task);
    this.ready(task);
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
    const alike = Map.groupBy(this.#reasons, ({ subject, reason }) => `${subject}: ${reason}`);
    return [...alike.values()].map(sentence);
  }

  reasonOf(subject: string): string | undefined {
    const found = this.#reasons.find((one) => one.subject === subject);
    return found && sentence([found]);
  }

  /** How many partitions are not ready for one of these subjects. */
  count(...subjects: readonly string[]): number {
    return this.#reasons.filter(({ subject, of }) => of !== undefined && subjects.includes(subject)).length;
  }

  /** Why the process should be restarted; empty while it gets on. */
  liveReasons(): string[] {
    const now = this.clock();
    const reasons: string[] = [];
    for (const [loop, at] of this.#marks) {
      const name = typeof loop === "string" ? loop : `write partition ${loop.partition}`;
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
        reasons.push(`${stalled} of ${numbers(stuck.map(([of]) => of))} for ${seconds(stuckFor)}`);
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

function sentence(alike: readonly Reason[]): string {
  const partitions = alike.flatMap(({ of }) => of ?? []);
  const [{ subject, reason }] = alike as readonly [Reason];
  if (partitions.length === 0) return `${subject}: ${reason}`;
  const these = numbers(partitions);
  return subject === "database" ? `${subject}: ${reason} (${these})` : `${subject} of ${these}: ${reason}`;
}

function numbers(partitions: readonly Assigned[]): string {
  return `partition ${partitions.map(({ partition }) => partition).join(", ")}`;
}

function seconds(ms: number): string {
  return `${Math.round(ms / 1000)} s`;
}
