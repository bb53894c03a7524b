/** What the consumer says it did: one function a fact, which writes the log line and moves the metric. */
import { describeError, PipelineError } from "../../_shared/errors.ts";
import { formatInstant } from "../../_shared/record/instant.ts";
import type { Fields, Telemetry } from "../../_shared/telemetry.ts";
import { consumerMetrics } from "./metrics.ts";
import type { WrittenBatch } from "../store/process_batch.ts";
import { SampledLog } from "./sampled_log.ts";
import { groupTelemetry } from "./group_telemetry.ts";
import { logTelemetry } from "./log_telemetry.ts";
import { tableTelemetry } from "./table_telemetry.ts";
import type { Offset } from "../../_shared/kafka/records.ts";
import type { Slice } from "../kafka_partition/slice.ts";

export type ConsumerTelemetry = ReturnType<typeof consumerTelemetry>;

/** Network time keeps clocks within a second, and an answer takes a few at most. */
const CLOCKS_DIFFER_SECONDS = 30;

type Dependency = "kafka" | "group" | "database";

interface Outage {
  readonly since: number;
  attempts: number;
  refused: boolean;
  /** Those of ours that it keeps from being written: it is over when each of them was written or closed. */
  readonly partitions: Set<number>;
  /** Whether it is theirs alone, for others were written since it was last told of. */
  isPartial: boolean;
}

/** The partition's committed end, and where we stand. */
export interface Position {
  readonly next: Offset;
  readonly end: Offset;
  /** Kafka's timestamp of the last record that was stored; milliseconds since the Unix epoch. */
  readonly lastTimestampMs: number | undefined;
}

export function consumerTelemetry({ log, metrics }: Telemetry, { debug }: { debug: boolean }) {
  const meters = consumerMetrics(metrics);
  const rejectLog = new SampledLog(log, "record.rejected");
  const anomalyLog = new SampledLog(log, "reading.anomaly");
  const failing = new Map<Dependency, Outage>();
  let topicIsMissing = false;
  let clocksDiffer = false;
  let replacedBy: string | undefined;
  const pausedPartitions = new Set<number>();
  const summary = {
    records: 0,
    stored: 0,
    duplicates: 0,
    rejected: 0,
    gaps: 0,
    offsets: new Map<number, Offset>(),
  };

  const failed = (dependency: Dependency, error: unknown, fields: Fields, partition?: number) => {
    meters.retries.inc({ dependency });
    const known = failing.get(dependency);
    const refused = error instanceof PipelineError && error.code.endsWith("_refused");
    const joins = partition !== undefined && known?.isPartial === true && !known.partitions.has(partition);
    // Said once an outage, and once more when the server is back and does not let us in: that one needs an operator.
    const isNews = known === undefined || (refused && !known.refused) || joins;
    const outage = known ??
      { since: performance.now(), attempts: 0, refused, partitions: new Set(), isPartial: false };
    failing.set(dependency, outage);
    outage.attempts++;
    outage.refused ||= refused;
    if (isNews) outage.isPartial = false;
    if (partition !== undefined) outage.partitions.add(partition);
    if (!isNews) log.debug(`${dependency}.failing`, `${dependency} is still failing`, { ...fields, error });
    else log.error(`${dependency}.failed`, describeError(error), fields);
  };
  const works = (dependency: Dependency, partition?: number) => {
    const known = failing.get(dependency);
    if (known === undefined) return;
    if (partition !== undefined) known.partitions.delete(partition);
    known.isPartial = known.partitions.size > 0;
    if (known.isPartial) return;
    failing.delete(dependency);
    const seconds = Math.round((performance.now() - known.since) / 100) / 10;
    const message = `${dependency} answers again after ${seconds} s and ${known.attempts} failed attempts`;
    log.info(`${dependency}.recovered`, message, { seconds, attempts: known.attempts });
  };
  const resumes = (partition: number) => {
    works("database", partition);
    if (pausedPartitions.delete(partition)) meters.paused.set(pausedPartitions.size);
  };

  return {
    log,
    ...tableTelemetry(log),
    ...logTelemetry(log),
    kafkaFailed: (error: unknown, fields: Fields = {}) => failed("kafka", error, fields),
    kafkaWorks: () => works("kafka"),
    ...groupTelemetry(log, { failed: (error) => failed("group", error, {}), works: () => works("group") }),
    databaseFailed: (error: unknown) => failed("database", error, {}),

    healthListening: (port: number) => {
      log.info("health.listening", `/livez, /readyz and /metrics are answered on port ${port}`, { port });
    },

    migrated: (names: readonly string[]) => {
      works("database");
      const message = names.length === 0 ? "The schema is up to date" : `Applied ${names.join(", ")}`;
      log.info("schema.migrated", message, { applied: names });
    },

    rolesMade: (names: readonly string[]) => {
      if (names.length > 0) log.info("roles.made", `The rights of ${names.join(" and ")} are up to date`);
    },

    writeFailed: (partition: number, error: unknown, fields: Fields) => {
      pausedPartitions.add(partition);
      meters.paused.set(pausedPartitions.size);
      failed("database", error, { partition, ...fields }, partition);
    },

    batchWritten: (partition: number, slice: Slice, batch: WrittenBatch, durationMs: number) => {
      resumes(partition);
      const { counts } = batch;
      meters.records.inc({ outcome: "stored" }, counts.stored);
      meters.records.inc({ outcome: "duplicate" }, counts.duplicates);
      meters.records.inc({ outcome: "rejected" }, counts.rejected);
      meters.batchRecords.observe(slice.records.length);
      meters.batchSeconds.observe(durationMs / 1000);
      const newest = slice.records.at(-1);
      if (newest !== undefined) {
        meters.endToEnd.observe(Math.max(0, (Date.now() - newest.timestampMs) / 1000));
      }
      for (const gap of slice.gaps) meters.gaps.inc({ cause: gap.cause }, gap.to - gap.from);
      for (const { record, reason, detail } of batch.rejects) {
        meters.rejects.inc({ reason });
        rejectLog.warning(`Rejected: ${detail}`, { reason, partition, offset: record.offset });
      }
      const { readings, records } = batch.plan;
      for (const row of batch.stored) {
        const anomaly = readings.anomaly(row);
        if (anomaly === null && !debug) continue;
        const { customerId, ts, heartRate } = readings.reading(row);
        const fields = {
          customer_id: customerId,
          ts: formatInstant(ts),
          heart_rate: heartRate,
          partition,
          offset: records.at(readings.record[row] ?? 0)?.offset,
        };
        if (debug) log.debug("reading.stored", "Stored a reading", fields);
        if (anomaly === null) continue;
        meters.anomalies.inc({ kind: anomaly });
        const message = `Heart rate ${anomaly}: ${heartRate} bpm, customer ${customerId}`;
        anomalyLog.warning(message, { anomaly, ...fields });
      }
      summary.records += slice.records.length;
      summary.stored += counts.stored;
      summary.duplicates += counts.duplicates;
      summary.rejected += counts.rejected;
      summary.gaps += counts.gaps;
      summary.offsets.set(partition, slice.next);
      log.debug("batch.stored", "Stored a batch", {
        partition,
        from: slice.from,
        next: slice.next,
        ...counts,
        durationMs,
      });
    },

    /** @param seconds since the last summary */
    summarise: (seconds: number) => {
      rejectLog.summarise();
      anomalyLog.summarise();
      if (summary.offsets.size === 0) return;
      const { offsets, ...counts } = summary;
      const message = `Stored ${counts.stored} of ${counts.records} records in ${seconds.toFixed(1)} s`;
      log.info("store.summary", message, { ...counts, next_offsets: Object.fromEntries(offsets) });
      Object.assign(summary, {
        records: 0,
        stored: 0,
        duplicates: 0,
        rejected: 0,
        gaps: 0,
        offsets: new Map(),
      });
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

    frozenWritersEnded: (sessions: number) => {
      if (sessions === 0) return;
      const message = `Ended ${sessions} database sessions of consumers that froze while they held locks`;
      log.warning("database.frozen_writers_ended", message, { sessions });
    },

    batchStale: (partition: number, from: Offset, nextOffset: Offset) => {
      resumes(partition);
      log.info("batch.stale", "Another owner moved this partition on; reading from there", {
        partition,
        from,
        nextOffset,
      });
    },

    ledgerWentBack: (partition: number, remembered: Offset, nextOffset: Offset | undefined) => {
      resumes(partition);
      const stands = nextOffset === undefined ? "does not know this partition" : `stands at ${nextOffset}`;
      const message =
        `The ledger ${stands}, though everything before ${remembered} was stored: the database is an ` +
        "older copy (a standby that lagged, a restored backup); reading again what it has not";
      log.warning("ledger.went_back", message, { partition, remembered, nextOffset });
    },

    partitionOpened: (partition: number, nextOffset: Offset, isNew: boolean) => {
      resumes(partition);
      const how = isNew ? "never read before, from its earliest offset" : "from the offset in the database";
      log.info("partition.opened", `Reading partition ${partition} ${how}`, { partition, nextOffset });
    },

    partitionHeld: (partition: number, reason: string) => {
      pausedPartitions.add(partition);
      meters.paused.set(pausedPartitions.size);
      log.error("partition.held", reason, { partition });
    },

    partitionClosed: (partition: number) => {
      failing.get("database")?.partitions.delete(partition);
      if (pausedPartitions.delete(partition)) meters.paused.set(pausedPartitions.size);
      meters.lagRecords.remove({ partition });
      meters.lagSeconds.remove({ partition });
    },

    assignmentChanged: (partitions: readonly number[], generation: number) => {
      meters.assigned.set(partitions.length);
      const list = [...partitions].sort((a, b) => a - b);
      log.info("group.assigned", `The group gave us ${list.length} partitions`, {
        partitions: list,
        generation,
      });
    },

    /** Said once for each time it is missing. */
    topicMissing: (topic: string) => {
      if (topicIsMissing) return;
      topicIsMissing = true;
      log.warning("topic.missing", `Topic ${topic} does not exist; waiting until it is created`, { topic });
    },

    topicFound: (topic: string, topicId: string, partitions: number) => {
      topicIsMissing = false;
      log.info("topic.found", `Topic ${topic} has ${partitions} partitions`, { topic, topicId, partitions });
    },

    /** Normal while leaders move; it shows in readiness, and here only for whoever looks closely. */
    topicStale: (answer: string, fields: Fields) => {
      log.debug("topic.stale", `The broker answered ${answer}; looking at the topic again`, fields);
    },

    /** Said once for each incarnation, whichever partition notices first. */
    topicReplaced: (topic: string, topicId: string, earlier: readonly string[]) => {
      if (replacedBy === topicId) return;
      replacedBy = topicId;
      const message = `Topic ${topic} was deleted and made again: its partitions are read as new logs`;
      log.warning("topic.replaced", message, { topic, topicId, earlier });
    },

    positions: (positions: ReadonlyMap<number, Position>) => {
      for (const [partition, { next, end, lastTimestampMs }] of positions) {
        const lag = end - next;
        meters.lagRecords.set({ partition }, lag);
        const age = lag === 0 || lastTimestampMs === undefined
          ? 0
          : Math.max(0, (Date.now() - lastTimestampMs) / 1000);
        meters.lagSeconds.set({ partition }, age);
      }
    },
  };
}
