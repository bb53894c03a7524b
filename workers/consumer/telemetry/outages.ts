/** What the consumer waits for: outages of servers and of the group, each said once, and the partitions they hold up. */
import { describeError, findInCauses, PipelineError } from "../../_shared/errors.ts";
import type { Fields, Log } from "../../_shared/telemetry.ts";
import type { MonotonicClock } from "../health/progress.ts";
import { COORDINATOR_NOT_READY } from "../../_shared/kafka/error_codes.ts";
import type { ConsumerMetrics } from "./metrics.ts";

/** With its first group a broker makes the topic of the groups' offsets, which takes a small machine this long. */
const GRACE_MS = 30_000;

type Dependency = "kafka" | "group" | "database";

/**
 * It keeps the `held` partitions from being written, and is over when each was written or closed; `isPartial` when it is
 * theirs alone, for others were written since it was last told of.
 */
type Outage = { since: number; attempts: number; refused: boolean; held: Set<number>; isPartial: boolean };

export class Outages {
  readonly #failing = new Map<Dependency, Outage>();
  readonly #paused = new Set<number>();
  #coordinatorGoneSince: number | undefined;

  constructor(
    private readonly log: Log,
    private readonly metrics: ConsumerMetrics,
    private readonly clock: MonotonicClock = () => performance.now(),
  ) {}

  /** @param partition what cannot be written; undefined when it is about none */
  failed(dependency: Dependency, error: unknown, fields: Fields = {}, partition?: number): void {
    this.metrics.retries.inc({ dependency });
    const refused = error instanceof PipelineError && error.code.endsWith("_refused");
    let outage = this.#failing.get(dependency);
    const joins = partition !== undefined && outage?.isPartial === true && !outage.held.has(partition);
    // Said once an outage, and once more when the server is back and does not let us in: that one needs an operator.
    const isNews = outage === undefined || (refused && !outage.refused) || joins;
    outage ??= { since: this.clock(), attempts: 0, refused, held: new Set(), isPartial: false };
    this.#failing.set(dependency, outage);
    outage.attempts++;
    outage.refused ||= refused;
    if (partition !== undefined) outage.held.add(partition);
    if (!isNews) {
      return this.log.debug(`${dependency}.failing`, `${dependency} is still failing`, { ...fields, error });
    }
    outage.isPartial = false;
    this.log.error(`${dependency}.failed`, describeError(error), fields);
  }

  groupFailed(error: unknown): void {
    if (COORDINATOR_NOT_READY.has(findInCauses(error, "apiId"))) {
      this.#coordinatorGoneSince ??= this.clock();
      if (this.clock() - this.#coordinatorGoneSince < GRACE_MS) {
        return this.log.debug("group.coordinator_not_ready", describeError(error));
      }
    }
    this.failed("group", error);
  }

  works(dependency: Dependency, partition?: number): void {
    if (dependency === "group") this.#coordinatorGoneSince = undefined;
    const known = this.#failing.get(dependency);
    if (known === undefined) return;
    if (partition !== undefined) known.held.delete(partition);
    known.isPartial = known.held.size > 0;
    if (known.isPartial) return;
    this.#failing.delete(dependency);
    const seconds = Math.round((this.clock() - known.since) / 100) / 10;
    const message = `${dependency} answers again after ${seconds} s and ${known.attempts} failed attempts`;
    this.log.info(`${dependency}.recovered`, message, { seconds, attempts: known.attempts });
  }

  pause(partition: number): void {
    this.metrics.paused.set(this.#paused.add(partition).size);
  }

  resume(partition: number): void {
    this.works("database", partition);
    this.#unpause(partition);
  }

  forget(partition: number): void {
    this.#failing.get("database")?.held.delete(partition);
    this.#unpause(partition);
  }

  #unpause(partition: number): void {
    if (this.#paused.delete(partition)) this.metrics.paused.set(this.#paused.size);
  }
}
