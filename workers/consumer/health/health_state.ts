/**
 * Folder `health`: decides whether the consumer can work (readiness) and whether it makes progress (liveness), and knows the
 * time by two clocks. It learns the facts from `telemetry`. It starts nothing, and writes neither log lines nor rows.
 */

/** Liveness fails if for this long a loop neither begins nor ends an attempt, or there is lag and no commit. */
export const STALL_MS = 30_000;
/** A server counts as unavailable when its last answer is older than this. */
const ANSWER_AGE_MS = 10_000;
/** Longer than an attempt to join, which takes one session timeout (30 s by default) if a member of the group died. */
const JOIN_MS = 90_000;
/**
 * A partition is stuck after this many failed writes in a row, over more than `STALL_MS`. Lag alone proves nothing, because the
 * next attempt may follow minutes later. One failure proves nothing, because another batch of the transaction may have caused it.
 */
const FAILURES_IN_A_ROW = 5;
/** The process ends itself after this long without liveness, because a supervisor may watch only exit codes. */
const GIVE_UP_MS = 30_000;
/** An upkeep task that has failed for this long needs an operator, so the consumer is not ready until it succeeds. */
const UPKEEP_MINUTES = 60;

/** Milliseconds; unlike the system clock it never jumps. */
export type MonotonicClock = () => number;

/** One assignment of a partition. Its identity matters, because an earlier assignment of the partition may still be closing. */
export type AssignedPartition = { readonly partition: number };

export type WatchedLoop = string | AssignedPartition;

type Reason = { subject: string; reason: string; assigned?: AssignedPartition | undefined };

export const HELD = "offset";

/** Only `telemetry` changes the state. */
export type Health = Pick<HealthState, "liveReasons" | "readyReasons" | "reasonOf" | "isStuck">;

export class HealthState {
  #reasons: readonly Reason[] = [
    { subject: "database", reason: "not connected yet, or its schema is not current" },
    { subject: "kafka", reason: "not connected yet" },
    { subject: "group", reason: "not joined yet" },
  ];
  readonly #failures = new Map<AssignedPartition, { times: number; since: number; last: number }>();
  readonly #upkeepFailingSince = new Map<string, number>();
  readonly #attemptAt = new Map<WatchedLoop, number>();
  readonly #answeredAt = new Map<"kafka" | "database", number>();
  #databaseRefuses = false;
  #outsideGroupSince: number | undefined;
  #lagSince: number | undefined;
  #lastCommit = 0;
  #notLiveSince: number | undefined;

  constructor(private readonly clock: MonotonicClock = () => performance.now()) {}

  /** `assigned` is the partition that the reason is about. Returns whether the subject was ready before. */
  notReady(subject: string, reason: string, assigned?: AssignedPartition): boolean {
    const wasReady = !this.ready(subject, assigned);
    this.#reasons = [...this.#reasons, { subject, reason, assigned }];
    return wasReady;
  }

  /** @returns whether the subject was not ready before */
  ready(subject: string, assigned?: AssignedPartition): boolean {
    const before = this.#reasons.length;
    this.#reasons = this.#reasons.filter((other) => other.subject !== subject || other.assigned !== assigned);
    return this.#reasons.length < before;
  }

  /** An attempt of this loop began or ended. Liveness watches the loop until it is {@link idle}. */
  mark(loop: WatchedLoop): void {
    this.#attemptAt.set(loop, this.clock());
  }

  idle(loop: WatchedLoop): void {
    this.#attemptAt.delete(loop);
  }

  answered(server: "kafka" | "database"): void {
    this.#answeredAt.set(server, this.clock());
  }

  /** @param refuses whether the server answers but cannot write; it then counts as unavailable until a write succeeds */
  databaseFailed(assigned: AssignedPartition, reason: string, refuses: boolean): boolean {
    this.#databaseRefuses = refuses;
    return this.notReady("database", reason, assigned);
  }

  /** Call it after {@link databaseFailed}, which decides whether the database counts as unavailable. */
  writeFailed(assigned: AssignedPartition): void {
    // While the database is unavailable, a failed write does not show that this partition is stuck.
    if (!this.#isAnswering("database")) return void this.#failures.delete(assigned);
    const now = this.clock();
    const { times, since } = this.#failures.get(assigned) ?? { times: 0, since: now };
    this.#failures.set(assigned, { times: times + 1, since, last: now });
  }

  databaseWorks(assigned: AssignedPartition): void {
    this.answered("database");
    this.#databaseRefuses = false;
    this.ready("database", assigned);
    this.#failures.delete(assigned);
  }

  closed(assigned: AssignedPartition): void {
    this.#reasons = this.#reasons.filter((reason) => reason.assigned !== assigned);
    this.#failures.delete(assigned);
  }

  /** @returns whether the previous attempt of the task succeeded */
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

  /** A consumer outside the group has no partitions, so no lag shows that it does not work. */
  member(isMember: boolean): void {
    if (isMember) this.#outsideGroupSince = undefined;
    else this.#outsideGroupSince ??= this.clock();
  }

  /** @param records number of records that could be stored at the moment */
  lag(records: number): void {
    if (records === 0) this.#lagSince = undefined;
    else this.#lagSince ??= this.clock();
  }

  readyReasons(): string[] {
    // Hundreds of partitions can have the same reason.
    const alike = Map.groupBy(this.#reasons, ({ subject, reason }) => `${subject}: ${reason}`);
    return [...alike.values()].map(formatReason);
  }

  reasonOf(subject: string): string | undefined {
    const found = this.#reasons.find((reason) => reason.subject === subject);
    return found && formatReason([found]);
  }

  count(...subjects: readonly string[]): number {
    return this.#reasons.filter(({ subject, assigned }) => assigned && subjects.includes(subject)).length;
  }

  liveReasons(): string[] {
    const now = this.clock();
    const reasons: string[] = [];
    for (const [loop, at] of this.#attemptAt) {
      const name = typeof loop === "string" ? loop : `write partition ${loop.partition}`;
      if (now - at > STALL_MS) reasons.push(`${name}: no attempt began or ended for ${seconds(now - at)}`);
    }
    if (this.#lagSince !== undefined && this.#isAnswering("kafka") && this.#isAnswering("database")) {
      const stalled = "writes: lag, and both servers answer, yet nothing was committed";
      const stalledFor = now - Math.max(this.#lagSince, this.#lastCommit);
      if (stalledFor > STALL_MS) reasons.push(`${stalled} for ${seconds(stalledFor)}`);
      const stuck = [...this.#failures]
        .filter(([, { times, since, last }]) => times >= FAILURES_IN_A_ROW && last - since > STALL_MS);
      if (stuck.length > 0) {
        const stuckFor = now - Math.min(...stuck.map(([, { since }]) => since));
        const partitions = formatPartitions(stuck.map(([assigned]) => assigned));
        reasons.push(`${stalled} of ${partitions} for ${seconds(stuckFor)}`);
      }
    }
    const outsideFor = now - (this.#outsideGroupSince ?? now);
    if (outsideFor > JOIN_MS && this.#isAnswering("kafka")) {
      reasons.push(`group: Kafka answers, but this consumer is not a member for ${seconds(outsideFor)}`);
    }
    this.#notLiveSince = reasons.length === 0 ? undefined : this.#notLiveSince ?? now;
    return reasons;
  }

  #isAnswering(server: "kafka" | "database"): boolean {
    if (server === "database" && this.#databaseRefuses) return false;
    return this.clock() - (this.#answeredAt.get(server) ?? -Infinity) <= ANSWER_AGE_MS;
  }

  isStuck(): boolean {
    this.liveReasons();
    return this.#notLiveSince !== undefined && this.clock() - this.#notLiveSince > GIVE_UP_MS;
  }
}

function formatReason(alike: readonly Reason[]): string {
  const partitions = alike.flatMap(({ assigned }) => assigned ?? []);
  const [{ subject, reason }] = alike as readonly [Reason];
  if (partitions.length === 0) return `${subject}: ${reason}`;
  const list = formatPartitions(partitions);
  return subject === "database" ? `${subject}: ${reason} (${list})` : `${subject} of ${list}: ${reason}`;
}

function formatPartitions(partitions: readonly AssignedPartition[]): string {
  return `partition ${partitions.map(({ partition }) => partition).join(", ")}`;
}

function seconds(ms: number): string {
  return `${Math.round(ms / 1000)} s`;
}
