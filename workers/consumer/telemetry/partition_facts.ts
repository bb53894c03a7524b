/** What is said of partitions: their places in the ledger, their logs, their leaders, and how far behind we are. */
import { describeError } from "../../_shared/errors.ts";
import type { Offset } from "../../_shared/kafka/records.ts";
import type { Fields, Log } from "../../_shared/telemetry.ts";
import type { Gap } from "../kafka_partition/slice.ts";
import type { ConsumerMetrics } from "./metrics.ts";
import type { Outages } from "./outages.ts";

/** The partition's committed end, and where we stand. */
export interface Position {
  readonly next: Offset;
  readonly end: Offset;
  /** Kafka's timestamp of the last record that was stored; milliseconds since the Unix epoch. */
  readonly lastTimestampMs: number | undefined;
}

/** Of a partition's place in the ledger, from its opening to its end. */
export function placeFacts(log: Log, metrics: ConsumerMetrics, outages: Outages) {
  return {
    partitionOpened: (partition: number, nextOffset: Offset, isNew: boolean) => {
      outages.resume(partition);
      const how = isNew ? "never read before, from its earliest offset" : "from the offset in the database";
      log.info("partition.opened", `Reading partition ${partition} ${how}`, { partition, nextOffset });
    },
    writeFailed: (partition: number, error: unknown, fields: Fields) => {
      outages.pause(partition);
      outages.failed("database", error, { partition, ...fields }, partition);
    },
    batchStale: (partition: number, from: Offset, nextOffset: Offset) => {
      outages.resume(partition);
      const message = "Another owner moved this partition on; reading from there";
      log.info("batch.stale", message, { partition, from, nextOffset });
    },
    ledgerWentBack: (partition: number, remembered: Offset, nextOffset: Offset | undefined) => {
      outages.resume(partition);
      const stands = nextOffset === undefined ? "does not know this partition" : `stands at ${nextOffset}`;
      const message =
        `The ledger ${stands}, though everything before ${remembered} was stored: the database is an ` +
        "older copy (a standby that lagged, a restored backup); reading again what it has not";
      log.warning("ledger.went_back", message, { partition, remembered, nextOffset });
    },
    partitionHeld: (partition: number, reason: string) => {
      outages.pause(partition);
      log.error("partition.held", reason, { partition });
    },
    positions: (positions: ReadonlyMap<number, Position>) => {
      for (const [partition, { next, end, lastTimestampMs }] of positions) {
        const lag = end - next;
        const age = lag === 0 || lastTimestampMs === undefined ? 0 : (Date.now() - lastTimestampMs) / 1000;
        metrics.lagRecords.set({ partition }, lag);
        metrics.lagSeconds.set({ partition }, Math.max(0, age));
      }
    },
    partitionClosed: (partition: number) => {
      outages.forget(partition);
      metrics.lagRecords.remove({ partition });
      metrics.lagSeconds.remove({ partition });
    },
  };
}

/** Of the log behind a partition: records that are gone from it, or that Kafka does not send. */
export function logFacts(log: Log) {
  return {
    offsetsSkipped: (partition: number, gap: Gap) => {
      const gone = gap.to - gap.from;
      const message = `The log of partition ${partition} now begins at ${gap.to}: ${gone} offsets are gone`;
      log.warning("partition.gap", message, { partition, ...gap });
    },
    silentGap: (partition: number, gap: Gap) => {
      const message =
        `Kafka sent no record of partition ${partition} from ${gap.from} to its end at ${gap.to} for minutes: ` +
        "counted as compacted, since the topic is compacted and not in tiered storage";
      log.warning("partition.gap", message, { partition, ...gap });
    },
    /** Said once for each silence. */
    partitionSilent: (partition: number, reason: string) =>
      log.error("partition.silent", `Cannot read partition ${partition}: ${reason}`, { partition }),
    partitionHeard: (partition: number) =>
      log.info("partition.heard", `Kafka sends records of partition ${partition} again`, { partition }),
    logCut: (partition: number, expected: Offset, end: Offset, from: Offset) => {
      const how = end < expected
        ? `ends at ${end}, before ${expected} which was read`
        : `was cut below ${expected}, which was read, and holds other records there now, up to ${end}`;
      const message = `The log of partition ${partition} ${how}; reading it anew`;
      log.warning("partition.log_cut", message, { partition, expected, end, from });
    },
    /** Said once, as an outage is. @param again whether it was said of these records before */
    recordsUnreadable: (
      partition: number,
      error: unknown,
      { broker, again }: { broker: number; again: boolean },
    ) =>
      again
        ? log.debug("partition.still_unreadable", describeError(error), { partition, broker })
        : log.error("partition.unreadable", describeError(error), { partition, broker }),
    recordsReadable: (partition: number) =>
      log.info("partition.readable", `The records of partition ${partition} can be read again`, {
        partition,
      }),
  };
}
