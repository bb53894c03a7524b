/** What is said of the database beside outages: its schema, its clock, its sessions, the partitions of public.heartbeats. */
import { describeError } from "../../_shared/errors.ts";
import type { Log } from "../../_shared/telemetry.ts";
import type { ConsumerMetrics } from "./metrics.ts";
import type { Outages } from "./outages.ts";

/** Network time keeps clocks within a second, and an answer takes a few at most. */
const CLOCKS_DIFFER_SECONDS = 30;

export function databaseFacts(log: Log, metrics: ConsumerMetrics, outages: Outages) {
  let clocksDiffer = false;
  return {
    migrated: (names: readonly string[]) => {
      outages.works("database");
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
    /** @param seconds our clock before the database's; said when they part and when they meet again */
    clockIsAhead: (seconds: number) => {
      metrics.clockAhead.set(seconds);
      const differs = Math.abs(seconds) > CLOCKS_DIFFER_SECONDS;
      if (differs === clocksDiffer) return;
      clocksDiffer = differs;
      if (!differs) return log.info("clock.agrees", "Our clock and the database's agree again", { seconds });
      const which = seconds > 0 ? "ahead of" : "behind";
      const message =
        `Our clock is ${
          Math.round(Math.abs(seconds))
        } s ${which} the database's: no reading is rejected for ` +
        "its time, and nothing is dropped as old, unless both agree; set the wrong one right";
      log.warning("clock.differs", message, { seconds });
    },
  };
}

export function tableFacts(log: Log) {
  return {
    onMade: (partition: string) =>
      log.info("table.partition_made", `Made partition ${partition}`, { table_partition: partition }),
    onFailure: (error: unknown, day: string) => {
      const why = describeError(error);
      const message = `No partition for ${day}: its readings go to the default partition (${why})`;
      log.warning("table.partition_failed", message, { day });
    },
    onDropped: (partition: string) => {
      const message = `Dropped ${partition}: older than RETENTION_DAYS`;
      log.info("table.partition_dropped", message, { table_partition: partition });
    },
    partitionsMany: (partitions: number) => {
      const message =
        `public.heartbeats has ${partitions} partitions, so new ones are made for months in place of ` +
        "days; set RETENTION_DAYS, or drop old partitions, to have days again";
      log.warning("table.partitions_many", message, { partitions });
    },
    /** @param action completes "Cannot" */
    retentionFailed: (error: unknown, action: string) =>
      log.warning("table.retention_failed", `Cannot ${action}: ${describeError(error)}`),
    summaryFailed: (error: unknown) => {
      const why = describeError(error);
      const message =
        `New blocks are not summed up, queries of a range of time read more than they need (${why})`;
      log.warning("table.summary_failed", message);
    },
  };
}
