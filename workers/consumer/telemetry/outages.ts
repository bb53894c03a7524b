import { findInCauses, type PipelineError } from "../../_shared/errors.ts";
import { isServerUnavailable } from "../../_shared/postgres_errors.ts";
import type { Fields, Log } from "../../_shared/telemetry.ts";
import type { AssignedPartition, HealthState, MonotonicClock } from "../health/health_state.ts";
import { COORDINATOR_NOT_READY } from "../../_shared/kafka/error_codes.ts";
import type { ConsumerMetrics } from "./metrics.ts";

/** Before its first group, a broker creates the topic of committed offsets. This can take 30 s on a small machine. */
const COORDINATOR_GRACE_MS = 30_000;

/** A subject of the health state, or the partition whose database statement failed or succeeded. */
type Subject = string | AssignedPartition;
type Dependency = "kafka" | "group" | "database";

/** `isPartial`: some partitions were written since the outage was last logged, but not all. */
type Outage = { since: number; attempts: number; refused: boolean; isPartial: boolean };

/** Logs an outage once. An outage of the database ends when each partition that could not be written is written or closed. */
export class Outages {
  readonly #failing = new Map<Dependency, Outage>();
  #coordinatorGoneSince: number | undefined;

  constructor(
    private readonly log: Log,
    private readonly metrics: ConsumerMetrics,
    private readonly healthState: HealthState,
    private readonly clock: MonotonicClock = () => performance.now(),
  ) {}

  failed(
    dependency: Dependency,
    subject: Subject | undefined,
    failure: PipelineError,
    fields: Fields = {},
  ): void {
    const { message, code, cause } = failure;
    const isNew = typeof subject === "object"
      ? this.healthState.databaseFailed(subject, message, isServerUnavailable(cause))
      : subject !== undefined && this.healthState.notReady(subject, message);
    this.metrics.retries.inc({ dependency });
    const refused = code.endsWith("_refused");
    let outage = this.#failing.get(dependency);
    // A refusal is logged even during an outage, because an operator must act.
    const mustLog = outage === undefined || (refused && !outage.refused) || (outage.isPartial && isNew);
    outage ??= { since: this.clock(), attempts: 0, refused, isPartial: false };
    this.#failing.set(dependency, outage);
    outage.attempts++;
    outage.refused ||= refused;
    if (!mustLog) {
      return this.log.debug(`${dependency}.failing`, `${dependency} is still failing: ${message}`, fields);
    }
    outage.isPartial = false;
    this.log.error(`${dependency}.failed`, message, fields);
  }

  groupFailed(failure: PipelineError): void {
    this.healthState.member(false);
    if (COORDINATOR_NOT_READY.has(findInCauses(failure, "apiId"))) {
      this.healthState.notReady("group", failure.message);
      this.#coordinatorGoneSince ??= this.clock();
      if (this.clock() - this.#coordinatorGoneSince < COORDINATOR_GRACE_MS) {
        return this.log.debug("group.coordinator_not_ready", failure.message);
      }
    }
    this.failed("group", "group", failure);
  }

  works(dependency: Dependency, subject: Subject): void {
    this.healthState.answered(dependency === "database" ? "database" : "kafka");
    if (typeof subject === "string") this.healthState.ready(subject);
    else this.healthState.databaseWorks(subject);
    if (dependency === "group") {
      this.healthState.member(true);
      this.#coordinatorGoneSince = undefined;
    }
    const outage = this.#failing.get(dependency);
    if (outage === undefined) return;
    outage.isPartial = dependency === "database" && this.healthState.count("database") > 0;
    if (outage.isPartial) return;
    this.#failing.delete(dependency);
    const seconds = Math.round((this.clock() - outage.since) / 100) / 10;
    const message = `${dependency} answers again after ${seconds} s and ${outage.attempts} failed attempts`;
    this.log.info(`${dependency}.recovered`, message, { seconds, attempts: outage.attempts });
  }
}
