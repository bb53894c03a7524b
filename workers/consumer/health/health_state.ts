/**
 * Folder `health`: whether the consumer can work (readiness), whether it makes progress (liveness), and what time it is. It
 * judges by the facts that `telemetry` passes on. It never acts by itself, and it never writes to the log or to a table.
 */

/** Maximum time without a loop beginning or ending an attempt, and, while there is lag, without a commit. */
export const STALL_MS = 30_000;
/** A dependency whose last answer is older does not count as answering. */
const ANSWER_AGE_MS = 10_000;
/** Longer than an attempt: a join may wait for the session of a member that died. */
const JOIN_MS = 90_000;
/**
 * A partition is stuck when this many writes in a row failed, over more than `STALL_MS`. Lag alone does not show it: the
 * partition's next turn may be minutes away. Nor does one failure: another batch of the same transaction may have caused it.
 */
const FAILURES_IN_A_ROW = 5;
/** After this time without liveness the process ends itself: a supervisor may watch exit codes only. */
const GIVE_UP_MS = 30_000;
/** An upkeep task that has failed for this long needs an operator: the consumer is not ready until it succeeds. */
const UPKEEP_MINUTES = 60;

/** A clock that never jumps, in milliseconds. */
export type MonotonicClock = () => number;

/** One assignment of a partition, compared by identity: an earlier assignment of the same number may still be closing. */
export type AssignedPartition = { readonly partition: number };

/** A loop by its name, or the one that writes a partition. */
export type WatchedLoop = string | AssignedPartition;

type Reason = { subject: string; reason: string; of?: AssignedPartition | undefined };

/** The subject of a partition about which an operator must decide. */
export const HELD = "place";

/** The part of {@link HealthState} that others read; only `telemetry` changes it. */
export type Health = Pick<HealthState, "liveReasons" | "readyReasons" | "reasonOf" | "isStuck">;

export class HealthState {
  /** Initial reasons: a consumer is not ready until each of them is removed. */
  #reasons: readonly Reason[] = [
    { subject: "database", reason: "not connected yet, or its schema is not current" },
    { subject: "kafka", reason: "not connected yet" },
    { subject: "group", reason: "not joined yet" },
  ];
  readonly #failures = new Map<AssignedPartition, { times: number; since: number; last: number }>();
  readonly #upkeepFailingSince = new Map<string, number>();
  readonly #marks = new Map<WatchedLoop, number>();
  readonly #answers = new Map<"kafka" | "database", number>();
  #databaseRefuses = false;
  #outsideSince: number | undefined;
  #lagSince: number | undefined;
  #lastCommit = 0;
  #redSince: number | undefined;

  constructor(private readonly clock: MonotonicClock = () => performance.now()) {}

  /** @param of the partition it is about, until that is closed @returns whether the subject was ready before */
  notReady(subject: string, reason: string, of?: AssignedPartition): boolean {
    const wasReady = !this.ready(subject, of);
    this.#reasons = [...this.#reasons, { subject, reason, of }];
    return wasReady;
  }

  /** @returns whether the subject was not ready before */
  ready(subject: string, of?: AssignedPartition): boolean {
    const before = this.#reasons.length;
    this.#reasons = this.#reasons.filter((one) => one.subject !== subject || one.of !== of);
    return this.#reasons.length < before;
  }

  /** An attempt of this loop began or ended. The loop is watched until it is `idle`. */
  mark(loop: WatchedLoop): void {
    this.#marks.set(loop, this.clock());
  }

  idle(loop: WatchedLoop): void {
    this.#marks.delete(loop);
  }

  answered(dependency: "kafka" | "database"): void {
    this.#answers.set(dependency, this.clock());
  }

  /**
   * @param isUnable the database answers that it cannot write for a reason of its own: it counts as away until a write works
   * @returns whether it worked for this partition before
   */
  databaseFailed(of: AssignedPartition, reason: string, isUnable: boolean): boolean {
    this.#databaseRefuses = isUnable;
    return this.notReady("database", reason, of);
  }

  /** Call it after {@link databaseFailed}. */
  writeFailed(of: AssignedPartition): void {
    // While the database is away, or cannot write at all, a failure says nothing about the partition.
    if (!this.#answersFrom("database")) return void this.#failures.delete(of);
    const now = this.clock();
    const { times, since } = this.#failures.get(of) ?? { times: 0, since: now };
    this.#failures.set(of, { times: times + 1, since, last: now });
  }

  databaseWorks(of: AssignedPartition): void {
    this.answered("database");
    this.#databaseRefuses = false;
    this.ready("database", of);
    this.#failures.delete(of);
  }

  closed(of: AssignedPartition): void {
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

  /** Outside of the group the consumer has no partitions, so nothing shows as lag. */
  member(isMember: boolean): void {
    if (isMember) this.#outsideSince = undefined;
    else this.#outsideSince ??= this.clock();
  }

  /** @param records committed records that could be stored and are not */
  lag(records: number): void {
    if (records === 0) this.#lagSince = undefined;
    else this.#lagSince ??= this.clock();
  }

  /** Why the work cannot be done at the moment; empty when it can. */
  readyReasons(): string[] {
    // Hundreds of partitions may have one reason.
    const alike = Map.groupBy(this.#reasons, ({ subject, reason }) => `${subject}: ${reason}`);
    return [...alike.values()].map(sentence);
  }

  reasonOf(subject: string): string | undefined {
    const found = this.#reasons.find((one) => one.subject === subject);
    return found && sentence([found]);
  }

  /** How many partitions are not ready because of these subjects. */
  count(...subjects: readonly string[]): number {
    return this.#reasons.filter(({ subject, of }) => of !== undefined && subjects.includes(subject)).length;
  }

  /** Why the process should be restarted; empty while it makes progress. */
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

  /** Whether the process should end itself. */
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

function numbers(partitions: readonly AssignedPartition[]): string {
  return `partition ${partitions.map(({ partition }) => partition).join(", ")}`;
}

function seconds(ms: number): string {
  return `${Math.round(ms / 1000)} s`;
}
