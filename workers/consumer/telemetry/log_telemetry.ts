/** What is said of the logs of partitions: records that are gone from them, logs that nobody serves, and their ends. */
import { describeError } from "../../_shared/errors.ts";
import type { Telemetry } from "../../_shared/telemetry.ts";
import type { LedgerSums } from "../store/ledger.ts";
import type { Offset } from "../../_shared/kafka/records.ts";
import type { Gap } from "../kafka_partition/slice.ts";

export function logTelemetry(log: Telemetry["log"]) {
  let leaderless = "";
  return {
    /** @param seconds since the start of the process */
    caughtUp: (sums: LedgerSums, seconds: number, isReached: boolean) => {
      const { stored, duplicates, rejected, gaps } = sums;
      const records = stored + duplicates + rejected;
      const read = records + gaps === 0
        ? isReached ? "there was nothing to do" : "read nothing"
        : `read ${records} records: ${stored} stored, ${duplicates} duplicates, ${rejected} rejected, and ${gaps} ` +
          "offsets without a record";
      const begin = isReached ? "Caught up" : "Stopped before it caught up";
      const message = `${begin} after ${seconds} s: ${read}`;
      log.info(isReached ? "catch_up.reached" : "catch_up.stopped", message, { records, ...sums, seconds });
    },

    offsetsSkipped: (partition: number, gap: Gap) => {
      const message = `The log of partition ${partition} now begins at ${gap.to}: ${
        gap.to - gap.from
      } offsets are gone`;
      log.warning("partition.gap", message, { partition, ...gap });
    },

    silentGap: (partition: number, gap: Gap) => {
      const message =
        `Kafka sent no record of partition ${partition} from ${gap.from} to its end at ${gap.to} for minutes: ` +
        "counted as compacted, since the topic is compacted and not in tiered storage";
      log.warning("partition.gap", message, { partition, ...gap });
    },

    /** Said once for each silence. */
    partitionSilent: (partition: number, reason: string) => {
      log.error("partition.silent", `Cannot read partition ${partition}: ${reason}`, { partition });
    },

    partitionHeard: (partition: number) => {
      log.info("partition.heard", `Kafka sends records of partition ${partition} again`, { partition });
    },

    logCut: (partition: number, expected: Offset, end: Offset, from: Offset) => {
      const how = end < expected
        ? `ends at ${end}, before ${expected} which was read`
        : `was cut below ${expected}, which was read, and holds other records there now, up to ${end}`;
      const message = `The log of partition ${partition} ${how}; reading it anew`;
      log.warning("partition.log_cut", message, { partition, expected, end, from });
    },

    /** Said once, as an outage is. @param again whether it was said of these records before */
    recordsUnreadable: (partition: number, error: unknown, fields: { broker: number; again: boolean }) => {
      const { broker, again } = fields;
      if (again) log.debug("partition.still_unreadable", describeError(error), { partition, broker });
      else log.error("partition.unreadable", describeError(error), { partition, broker });
    },

    recordsReadable: (partition: number) => {
      log.info("partition.readable", `The records of partition ${partition} can be read again`, {
        partition,
      });
    },

    /** Said when they change. @param partitions of ours that no broker leads */
    leadersMissing: (partitions: readonly number[]) => {
      const list = [...partitions].sort((a, b) => a - b).join(", ");
      if (list === leaderless) return;
      leaderless = list;
      if (list === "") return log.info("partitions.led", "Each of our partitions has a leader again");
      const message =
        `No broker leads partition ${list}: waiting for one that has its records, the others go on`;
      log.warning("partitions.leaderless", message, { partitions });
    },
  };
}
