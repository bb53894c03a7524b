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

/** Nothing else updates the log, the metrics and `healthState`. */
export function consumerTelemetry(
  { log, metrics: registry }: Pick<Telemetry, "log" | "metrics">,
  healthState: HealthState,
  { debug }: { debug: boolean },
) {
  const metrics = consumerMetrics(registry);
  const sinks = { log, metrics, outages: new Outages(log, metrics, healthState), healthState };
  return {
    loopProgressed: (loop: WatchedLoop) => healthState.mark(loop),
    loopIdle: (loop: WatchedLoop) => healthState.idle(loop),
    ...batchFacts(sinks, debug),
    ...partitionFacts(sinks),
    ...logFacts(sinks),
    ...kafkaFacts(sinks),
    ...topicFacts(sinks),
    ...databaseFacts(sinks),
    ...tableFacts(sinks),
    ...rollupFacts(sinks),
    statusFailed: (error: unknown) =>
      log.debug("status.failed", "Cannot write to public.consumer_status", { error }),
    healthListening: (port: number) =>
      log.info("health.listening", `Serving /livez, /readyz and /metrics on port ${port}`, { port }),
    caughtUp: (sums: Counts, seconds: number, isReached: boolean) => {
      const { stored, duplicates, rejected, gaps } = sums;
      const records = stored + duplicates + rejected;
      const read = records + gaps === 0
        ? isReached ? "there was nothing to do" : "read nothing"
        : `read ${records} records: ${stored} stored, ${duplicates} duplicates, ${rejected} rejected, and ${gaps} ` +
          "offsets without a record";
      const [event, outcome] = isReached
        ? ["catch_up.reached", "Caught up"]
        : ["catch_up.stopped", "Stopped before it caught up"];
      log.info(event, `${outcome} after ${seconds} s: ${read}`, { records, ...sums, seconds });
    },
  };
}

function partitionFacts({ log, outages, healthState }: TelemetrySinks) {
  return {
    partitionOpened: (assigned: AssignedPartition, nextOffset: Offset, isNew: boolean) => {
      const { partition } = assigned;
      outages.works("database", assigned);
      const from = isNew ? "its earliest offset, for the first time" : "the offset in the database";
      log.info("partition.opened", `Reading partition ${partition} from ${from}`, { partition, nextOffset });
    },
    openFailed: (assigned: AssignedPartition, failure: PipelineError, attempts: number) =>
      outages.failed("database", assigned, failure, { partition: assigned.partition, attempts }),
    writeFailed: (assigned: AssignedPartition, failure: PipelineError, attempt: number) => {
      outages.failed("database", assigned, failure, { partition: assigned.partition, attempt });
      healthState.writeFailed(assigned);
    },
    batchStale: (assigned: AssignedPartition, from: Offset, nextOffset: Offset) => {
      outages.works("database", assigned);
      const message = "Another owner wrote to this partition; reading from the offset in the database";
      log.info("batch.stale", message, { partition: assigned.partition, from, nextOffset });
    },
    ledgerWentBack: (assigned: AssignedPartition, remembered: Offset, nextOffset: Offset | undefined) => {
      outages.works("database", assigned);
      const found = nextOffset === undefined ? "does not have this partition" : `stands at ${nextOffset}`;
      const message =
        `The ledger ${found}, but everything before ${remembered} was stored: the database is an older copy ` +
        "(a standby that lagged, or a restored backup); reading the missing records again";
      log.warning("ledger.went_back", message, { partition: assigned.partition, remembered, nextOffset });
    },
    logCut: (assigned: AssignedPartition, expected: Offset, end: Offset, from: Offset) => {
      outages.works("database", assigned);
      const { partition } = assigned;
      const found = end < expected
        ? `ends at ${end}, but was read up to ${expected}`
        : `was read up to ${expected}, but was truncated below and has other records now, up to ${end}`;
      const message = `The log of partition ${partition} ${found}; reading it again from ${from}`;
      log.warning("partition.log_cut", message, { partition, expected, end, from });
    },
    partitionHeld: (assigned: AssignedPartition, reason: string) => {
      if (!healthState.notReady(HELD, reason, assigned)) return;
      log.error("partition.held", reason, { partition: assigned.partition });
    },
    partitionClosed: (assigned: AssignedPartition) => healthState.closed(assigned),
  };
}

function rollupFacts({ log, metrics, healthState }: TelemetrySinks) {
  return {
    rollupLag: (seconds: number) => metrics.rollupLag.set(seconds),
    roundCommitted: () => metrics.rollupRounds.inc(),
    rebuildBegan: (reason: string) => {
      metrics.rollupRebuilds.inc();
      log.warning("rollup.rebuild_began", `Rebuilding minutes and latest readings from the rows: ${reason}`);
    },
    rebuildEnded: () => log.info("rollup.rebuild_ended", "Rebuilt minutes and latest readings from the rows"),
    rollupStalled: (seconds: number, failure: string | undefined) => {
      const why = failure === undefined ? "" : `: ${failure}`;
      const reason = `changes wait, and no round was committed for ${seconds} s${why}`;
      if (healthState.notReady("rollup", reason)) {
        log.error("rollup.stalled", `Minutes and latest readings are out of date: ${reason}`);
      }
    },
    rollupWorks: () => {
      if (healthState.ready("rollup")) log.info("rollup.recovered", "The rollup works again");
    },
  };
}

/** Clocks with network time differ by less than a second, and an answer of the database takes a few seconds at most. */
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
    /** Not logged: the next write reports it. */
    databaseSilent: (failure: PipelineError) => healthState.notReady("database", failure.message),
    /** @param seconds how far this machine's clock is ahead */
    databaseAnswered: (seconds: number) => {
      healthState.answered("database");
      healthState.ready("database");
      metrics.clockAhead.set(seconds);
      const differs = Math.abs(seconds) > CLOCKS_DIFFER_SECONDS;
      if (differs === clocksDiffer) return;
      clocksDiffer = differs;
      if (!differs) {
        return log.info("clock.agrees", "This machine's clock agrees with the database's", { seconds });
      }
      const side = seconds > 0 ? "ahead of" : "behind";
      const message = `This machine's clock is ${Math.round(Math.abs(seconds))} s ${side} the database's: ` +
        "readings are rejected for their time, or dropped as old, only if both clocks show it; correct the wrong clock";
      log.warning("clock.differs", message, { seconds });
    },
  };
}

function tableFacts({ log, healthState }: TelemetrySinks) {
  return {
    tablePartitionMade: (partition: string) =>
      log.info("table.partition_made", `Created ${partition}`, { table_partition: partition }),
    tablePartitionFailed: (error: unknown, day: string) => {
      const message = `Cannot create the partition for ${day}, so its readings go to the default partition`;
      log.warning("table.partition_failed", `${message}: ${describeError(error)}`, { day });
    },
    tablePartitionDropped: (partition: string) => {
      const message = `Dropped ${partition}: older than RETENTION_DAYS`;
      log.info("table.partition_dropped", message, { table_partition: partition });
    },
    tablePartitionsMany: (partitions: number) => {
      const message =
        `public.heartbeats has ${partitions} partitions, so a new one holds a month instead of a day; ` +
        "set RETENTION_DAYS or drop old partitions to get one for each day again";
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
