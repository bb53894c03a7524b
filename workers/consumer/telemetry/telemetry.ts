/** All that the consumer says: the facts of each subject, joined. */
import { describeError } from "../../_shared/errors.ts";
import type { Offset } from "../../_shared/kafka/records.ts";
import type { Fields, Log, Telemetry } from "../../_shared/telemetry.ts";
import type { Partition } from "../kafka_partition/partition.ts";
import type { Gap } from "../kafka_partition/slice.ts";
import type { Counts } from "../store/batch.ts";
import { batchFacts } from "./batch_facts.ts";
import { type ConsumerMetrics, consumerMetrics } from "./metrics.ts";
import { Outages } from "./outages.ts";

export type ConsumerTelemetry = ReturnType<typeof consumerTelemetry>;

export function consumerTelemetry({ log, metrics: registry }: Telemetry, { debug }: { debug: boolean }) {
  const metrics = consumerMetrics(registry);
  const outages = new Outages(log, metrics);
  return {
    log,
    kafkaFailed: (error: unknown, fields?: Fields) => outages.failed("kafka", error, fields),
    kafkaWorks: () => outages.works("kafka"),
    groupFailed: (error: unknown) => outages.groupFailed(error),
    groupWorks: () => outages.works("group"),
    databaseFailed: (error: unknown) => outages.failed("database", error),
    ...batchFacts(log, metrics, outages, debug),
    ...placeFacts(log, metrics, outages),
    ...logFacts(log),
    ...topicFacts(log, metrics),
    ...databaseFacts(log, metrics, outages),
    ...rollupFacts(metrics),
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

/** Of a partition's place in the ledger, from its opening to its end. */
function placeFacts(log: Log, metrics: ConsumerMetrics, outages: Outages) {
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
    positions: (partitions: readonly Partition[]) => {
      for (const { number: partition, nextOffset, endOffset, lastTimestampMs } of partitions) {
        if (nextOffset === undefined) continue;
        const lag = Math.max(0, endOffset - nextOffset);
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
function logFacts(log: Log) {
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
    recordsUnreadable: (partition: number, error: unknown, broker: number, again: boolean) => {
      const fields = { partition, broker };
      if (again) log.debug("partition.still_unreadable", describeError(error), fields);
      else log.error("partition.unreadable", describeError(error), fields);
    },
    recordsReadable: (partition: number) => {
      const message = `The records of partition ${partition} can be read again`;
      log.info("partition.readable", message, { partition });
    },
  };
}

function topicFacts(log: Log, metrics: ConsumerMetrics) {
  let isMissing = false;
  let replacedBy: string | undefined;
  let leaderless = "";
  return {
    /** Said once for each time it is missing. */
    topicMissing: (topic: string) => {
      if (isMissing) return;
      isMissing = true;
      log.warning("topic.missing", `Topic ${topic} does not exist; waiting until it is created`, { topic });
    },
    topicFound: (topic: string, topicId: string, partitions: number) => {
      isMissing = false;
      log.info("topic.found", `Topic ${topic} has ${partitions} partitions`, { topic, topicId, partitions });
    },
    /** Normal while leaders move; it shows in readiness, and here only for whoever looks closely. */
    topicStale: (answer: string, fields: Fields) =>
      log.debug("topic.stale", `The broker answered ${answer}; looking at the topic again`, fields),
    /** Said once for each incarnation, whichever partition notices first. */
    topicReplaced: (topic: string, topicId: string, earlier: readonly string[]) => {
      if (replacedBy === topicId) return;
      replacedBy = topicId;
      const message = `Topic ${topic} was deleted and made again: its partitions are read as new logs`;
      log.warning("topic.replaced", message, { topic, topicId, earlier });
    },
    assignmentChanged: (ours: readonly number[], generation: number) => {
      metrics.assigned.set(ours.length);
      const partitions = ours.toSorted((a, b) => a - b);
      log.info("group.assigned", `The group gave us ${ours.length} partitions`, { partitions, generation });
    },
    /** Said when they change. @param partitions of ours that no broker leads */
    leadersMissing: (partitions: readonly number[]) => {
      const list = partitions.toSorted((a, b) => a - b).join(", ");
      if (list === leaderless) return;
      leaderless = list;
      if (list === "") return log.info("partitions.led", "Each of our partitions has a leader again");
      const message =
        `No broker leads partition ${list}: waiting for one that has its records, the others go on`;
      log.warning("partitions.leaderless", message, { partitions });
    },
  };
}

function rollupFacts(metrics: ConsumerMetrics) {
  return {
    rollupLag: (seconds: number) => metrics.rollupLag.set(seconds),
    roundCommitted: () => metrics.rollupRounds.inc(),
  };
}

/** Network time keeps clocks within a second, and an answer takes a few at most. */
const CLOCKS_DIFFER_SECONDS = 30;

function databaseFacts(log: Log, metrics: ConsumerMetrics, outages: Outages) {
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
      const message = `Our clock is ${Math.round(Math.abs(seconds))} s ${which} the database's: ` +
        "no reading is rejected for its time, and nothing is dropped as old, unless both agree; set the wrong one right";
      log.warning("clock.differs", message, { seconds });
    },
    onMade: (partition: string) =>
      log.info("table.partition_made", `Made partition ${partition}`, { table_partition: partition }),
    onFailure: (error: unknown, day: string) => {
      const message = `No partition for ${day}: its readings go to the default partition`;
      log.warning("table.partition_failed", `${message} (${describeError(error)})`, { day });
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
  };
}
