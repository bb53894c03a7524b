/** What is said of the partitions of public.heartbeats. */
import { describeError } from "../../_shared/errors.ts";
import type { Telemetry } from "../../_shared/telemetry.ts";

export function tableTelemetry(log: Telemetry["log"]) {
  return {
    onMade: (partition: string) => {
      log.info("table.partition_made", `Made partition ${partition}`, { table_partition: partition });
    },

    onFailure: (error: unknown, day: string) => {
      const message = `No partition for ${day}: its readings go to the default partition (${
        describeError(error)
      })`;
      log.warning("table.partition_failed", message, { day });
    },

    onDropped: (partition: string) => {
      log.info("table.partition_dropped", `Dropped ${partition}: older than RETENTION_DAYS`, {
        table_partition: partition,
      });
    },

    partitionsMany: (partitions: number) => {
      const message =
        `public.heartbeats has ${partitions} partitions, so new ones are made for months in place of ` +
        "days; set RETENTION_DAYS, or drop old partitions, to have days again";
      log.warning("table.partitions_many", message, { partitions });
    },

    /** @param action completes "Cannot" */
    retentionFailed: (error: unknown, action: string) => {
      log.warning("table.retention_failed", `Cannot ${action}: ${describeError(error)}`);
    },

    summaryFailed: (error: unknown) => {
      const message = `New blocks are not summed up, queries of a range of time read more than they need (${
        describeError(error)
      })`;
      log.warning("table.summary_failed", message);
    },
  };
}
