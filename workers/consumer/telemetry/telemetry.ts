/** Everything the consumer reports: the facts of each subject, joined. */
import { describeError, type PipelineError } from "../../_shared/errors.ts";
import type { Offset } from "../../_shared/kafka/records.ts";
import type { Telemetry } from "../../_shared/telemetry.ts";
import { type AssignedPartition, type HealthState, HELD, type WatchedLoop } from "../health/health_state.ts";
import type { Counts } from "../store/batch.ts";
import { batchFacts, type TelemetrySinks } from "./batch_facts.ts";
import { kafkaFacts, logFacts, topicFacts } from "./kafka_facts.ts";
import { consumerMetrics } from "./metrics.ts";
import { Outages } from "./outages.ts";

export type ConsumerTelemetry = ReturnType<typeof consumerTelemetry>;

/** Each function is called where its fact is met; nothing else moves the log, the metrics or `healthState`. */
export function consumerTelemetry(
  { log, metrics: registry }: Pick<Telemetry, "log" | "metrics">,
  healthState: HealthState,
  { debug }: { debug: boolean },
) {
  const metrics = consumerMetrics(registry);
  const moved = { log, metrics, outages: new Outages(log, metrics, healthState), healthState };
  return {
    // Called too often for a log line or a metric.
    loopMoved: (loop: WatchedLoop) => healthState.mark(loop),
    loopIdle: (loop: WatchedLoop) => healthState.idle(loop),
    ...batchFacts(moved, debug),
    ...partitionFacts(moved),
    ...logFacts(moved),
    ...kafkaFacts(moved),
    ...topicFacts(moved),
    ...databaseFacts(moved),
    ...tableFacts(moved),
    ...rollupFacts(moved),
    statusFailed: (error: unknown) =>
      log.debug("status.failed", "Cannot write to public.consumer_status", { error }),
    healthListening: (port: number) =>
      log.info("health.listening", `/livez, /readyz and /metrics are answered on port ${port}`, { port }),
    /** @param seconds since the start of the process */
    caughtUp: (sums: Counts, seconds: number, isReached: boolean) => {
      const { stored, duplicates, rejected, gaps } = sums;
      const records = stored + duplicates + rejected;
      const read = records + gaps === 0
        ? isReached ? "there was nothing to do" : "read nothing"
        : `read ${records} records: ${stored} stored, ${duplicates} duplicates, ${rejected} rejected, and ${gaps} ` +
          "offsets without a record";
      const [event, begin] = isReached
        ? ["catch_up.reached", "Caught up"]
        : ["catch_up.stopped", "Stopped before it caught up"];
      log.info(event, `${begin} after ${seconds} s: ${read}`, { records, ...sums, seconds });
    },
  };
}

/** A partition's place in the ledger, from its opening to its closing. */
function partitionFacts({ log, outages, healthState }: TelemetrySinks) {
  return {
    partitionOpened: (of: AssignedPartition, nextOffset: Offset, isNew: boolean) => {
      const { partition } = of;
      outages.works("database", of);
      const how = isNew ? "never read before, from its earliest offset" : "from the offset in the database";
      log.info("partition.opened", `Reading partition ${partition} ${how}`, { partition, nextOffset });
    },
    openFailed: (of: AssignedPartition, failure: PipelineError, attempts: number) =>
      outages.failed("database", of, failure, { partition: of.partition, attempts }),
    writeFailed: (of: AssignedPartition, failure: PipelineError, attempt: number) => {
      outages.failed("database", of, failure, { partition: of.partition, attempt });
      healthState.writeFailed(of);
    },
    batchStale: (of: AssignedPartition, from: Offset, nextOffset: Offset) => {
      outages.works("database", of);
      const message = "Another owner moved this partition on; reading from there";
      log.info("batch.stale", message, { partition: of.partition, from, nextOffset });
    },
    ledgerWentBack: (of: AssignedPartition, remembered: Offset, nextOffset: Offset | undefined) => {
      outages.works("database", of);
      const stands = nextOffset === undefined ? "does not know this partition" : `stands at ${nextOffset}`;
      const message =
        `The ledger ${stands}, though everything before ${remembered} was stored: the database is an ` +
        "older copy (a standby that lagged, a restored backup); reading again what it has not";
      log.warning("ledger.went_back", message, { partition: of.partition, remembered, nextOffset });
    },
    logCut: (of: AssignedPartition, expected: Offset, end: Offset, from: Offset) => {
      outages.works("database", of);
      const { partition } = of;
      const how = end < expected
        ? `ends at ${end}, before ${expected} which was read`
        : `was cut below ${expected}, which was read, and holds other records there now, up to ${end}`;
      const message = `The log of partition ${partition} ${how}; reading it anew`;
      log.warning("partition.log_cut", message, { partition, expected, end, from });
    },
    partitionHeld: (of: AssignedPartition, reason: string) => {
      if (!healthState.notReady(HELD, reason, of)) return;
      log.error("partition.held", reason, { partition: of.partition });
    },
    partitionClosed: (of: AssignedPartition) => healthState.closed(of),
  };
}

function rollupFacts({ log, metrics, healthState }: TelemetrySinks) {
  return {
    rollupLag: (seconds: number) => metrics.rollupLag.set(seconds),
    roundCommitted: () => metrics.rollupRounds.inc(),
    rebuildBegan: (reason: string) => {
      metrics.rollupRebuilds.inc();
      log.warning("rollup.rebuild_began", `Minutes and latest readings are rebuilt from the rows: ${reason}`);
    },
    rebuildEnded: () =>
      log.info("rollup.rebuild_ended", "Minutes and latest readings are rebuilt from the rows"),
    /** Reported once; readiness says for how long. @param failure why the last round failed, if it did */
    rollupStalled: (seconds: number, failure: string | undefined) => {
      const why = failure === undefined ? "" : `: ${failure}`;
      const reason = `changes wait, and no round was committed for ${seconds} s${why}`;
      if (healthState.notReady("rollup", reason)) {
        log.error("rollup.stalled", `Minutes and latest readings stand still: ${reason}`);
      }
    },
    rollupWorks: () => {
      if (healthState.ready("rollup")) {
        log.info("rollup.recovered", "Minutes and latest readings follow again");
      }
    },
  };
}

/** Network time keeps clocks within a second, and an answer takes a few at most. */
const CLOCKS_DIFFER_SECONDS = 30;

function databaseFacts({ log, metrics, outages, healthState }: TelemetrySinks) {
  let clocksDiffer = false;
  return {
    migrated: (names: readonly string[]) => {
      outages.works("database", "database");
      const message = names.length === 0 ? "The schema is up to date" : `Applied ${names.join(", ")}`;
      log.info("schema.migrated", message, { applied: names });
    },
    rolesMade: (names: readonly string[]) => {
      if (names.length > 0) log.info("roles.made", `The rights of ${names.join(" and ")} are up to date`);
    },
    frozenWritersEnded: (sessions: number) => {
      if (sessions === 0) return;
      const message = `Ended ${sessions} database sessions of consumers that froze while they held locks`;
      log.warning("database.frozen_writers_ended", message, { sessions });
    },
    databaseFailed: (failure: PipelineError) => outages.failed("database", "database", failure),
    /** Not logged: the next write reports what is wrong. */
    databaseSilent: (failure: PipelineError) => healthState.notReady("database", failure.message),
    /** @param seconds how far this machine's clock is ahead; reported when the clocks part and when they agree again */
    databaseAnswered: (seconds: number) => {
      healthState.answered("database");
      healthState.ready("database");
      metrics.clockAhead.set(seconds);
      const differs = Math.abs(seconds) > CLOCKS_DIFFER_SECONDS;
      if (differs === clocksDiffer) return;
      clocksDiffer = differs;
      if (!differs) return log.info("clock.agrees", "Our clock and the database's agree again", { seconds });
      const which = seconds > 0 ? "ahead of" : "behind";
      const message = `Our clock is ${Math.round(Math.abs(seconds))} s ${which} the database's: ` +
        "no reading is rejected for its time, and nothing is dropped as old, unless both agree; set the wrong one right";
      log.warning("clock.differs", message, { seconds });
    },
  };
}

function tableFacts({ log, healthState }: TelemetrySinks) {
  return {
    tablePartitionMade: (partition: string) =>
      log.info("table.partition_made", `Made partition ${partition}`, { table_partition: partition }),
    tablePartitionFailed: (error: unknown, day: string) => {
      const message = `No partition for ${day}: its readings go to the default partition`;
      log.warning("table.partition_failed", `${message} (${describeError(error)})`, { day });
    },
    tablePartitionDropped: (partition: string) => {
      const message = `Dropped ${partition}: older than RETENTION_DAYS`;
      log.info("table.partition_dropped", message, { table_partition: partition });
    },
    tablePartitionsMany: (partitions: number) => {
      const message =
        `public.heartbeats has ${partitions} partitions, so new ones are made for months in place of ` +
        "days; set RETENTION_DAYS, or drop old partitions, to have days again";
      log.warning("table.partitions_many", message, { partitions });
    },
    upkeepDone: (task: string) => healthState.upkeepDone(task),
    upkeepFailed: (task: string, failure: PipelineError) => {
      if (healthState.upkeepFailed(task, failure.message)) {
        log.warning("table.retention_failed", failure.message);
      }
    },
  };
}
