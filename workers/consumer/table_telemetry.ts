/** What is said of the partitions of public.heartbeats. */
import { describeError } from "../_shared/errors.ts";
import type { Telemetry } from "../_shared/telemetry.ts";

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

    retentionFailed: (error: unknown) => {
      log.warning("table.retention_failed", `Old readings were not dropped: ${describeError(error)}`);
    },

    /** @param seconds our clock before the database's; said when they part and when they meet again */
    clockIsAhead: (seconds: number) => {
      meters.clockAhead.set(seconds);
      const differs = Math.abs(seconds) > CLOCKS_DIFFER_SECONDS;
      if (differs === clocksDiffer) return;
      clocksDiffer = differs;
      const rounded = Math.round(Math.abs(seconds));
      const which = seconds > 0 ? "ahead of" : "behind";
      if (differs) {
        const message =
          `Our clock is ${rounded} s ${which} the database's: no reading is rejected for its time, and ` +
          "nothing is dropped as old, unless both agree; set the wrong one right";
        log.warning("clock.differs", message, { seconds });
      } else log.info("clock.agrees", "Our clock and the database's agree again", { seconds });
    },
  };
}
