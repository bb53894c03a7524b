import type { PipelineError } from "../../_shared/errors.ts";
import { type AssignedPartition, HELD } from "../health/health_state.ts";
import type { Partition } from "../kafka_partition/partition.ts";
import type { Gap } from "../kafka_partition/slice.ts";
import type { TelemetrySinks } from "./batch_facts.ts";

export function logFacts({ log, metrics, healthState }: TelemetrySinks) {
  return {
    /** Called once a second. `fetchableLag` is the sum over all these partitions. */
    positions: (partitions: readonly Partition[], fetchableLag: number) => {
      healthState.lag(fetchableLag);
      metrics.paused.set(healthState.count("database", HELD));
      metrics.lagRecords.reset();
      metrics.lagSeconds.reset();
      for (const { number: partition, nextOffset, lastStableOffset, lastTimestampMs } of partitions) {
        if (nextOffset === undefined) continue;
        const lag = Math.max(0, lastStableOffset - nextOffset);
        const age = lag === 0 || lastTimestampMs === undefined ? 0 : (Date.now() - lastTimestampMs) / 1000;
        metrics.lagRecords.set({ partition }, lag);
        metrics.lagSeconds.set({ partition }, Math.max(0, age));
      }
    },
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
    partitionSilent: (assigned: AssignedPartition, reason: string) => {
      if (!healthState.notReady("log", reason, assigned)) return;
      const { partition } = assigned;
      log.error("partition.silent", `Cannot read partition ${partition}: ${reason}`, { partition });
    },
    partitionHeard: (assigned: AssignedPartition) => {
      if (!healthState.ready("log", assigned)) return;
      const { partition } = assigned;
      log.info("partition.heard", `Kafka sends records of partition ${partition} again`, { partition });
    },
    batchCorrupt: (assigned: AssignedPartition, failure: PipelineError, broker: number) => {
      if (!healthState.notReady("records", failure.message, assigned)) return;
      log.error("partition.unreadable", failure.message, { partition: assigned.partition, broker });
    },
    batchReadable: (assigned: AssignedPartition) => {
      if (!healthState.ready("records", assigned)) return;
      const { partition } = assigned;
      log.info("partition.readable", `Records of partition ${partition} can be read again`, { partition });
    },
  };
}

export function kafkaFacts({ log, metrics, outages, healthState }: TelemetrySinks) {
  return {
    groupAnswered: () => outages.works("group", "group"),
    groupFailed: (failure: PipelineError) => outages.groupFailed(failure),
    partitionsAssigned: (assigned: readonly number[], generation: number) => {
      outages.works("group", "group");
      metrics.assigned.set(assigned.length);
      const partitions = assigned.toSorted((a, b) => a - b);
      const message = `The group assigned ${assigned.length} partitions to this consumer`;
      log.info("group.assigned", message, { partitions, generation });
    },
    offsetsNotCommitted: (error: unknown) =>
      log.debug("group.commit_failed", "Cannot commit offsets to the group", { error }),
    fetched: (broker: number) => outages.works("kafka", `broker ${broker}`),
    fetchFailed: (broker: number, failure: PipelineError, partitions: readonly number[]) =>
      outages.failed("kafka", `broker ${broker}`, failure, { broker, partitions }),
    /** Logged at debug, because this is normal while leaders move. */
    metadataStale: (broker: number, answer: string) => {
      healthState.notReady(`broker ${broker}`, answer);
      log.debug("topic.stale", `The broker answered ${answer}; reading the topic again`, { broker });
    },
    brokerAsked: (broker: number) => healthState.mark(`fetch from broker ${broker}`),
    brokerIdle: (broker: number) => {
      healthState.idle(`fetch from broker ${broker}`);
      healthState.ready(`broker ${broker}`);
    },
    logFailed: (failure: PipelineError) => outages.failed("kafka", undefined, failure),
  };
}

export function topicFacts({ log, outages, healthState }: TelemetrySinks) {
  let known: string | undefined;
  let replacedBy: string | undefined;
  let leaderless = "";
  return {
    topicMissing: (topic: string) => {
      outages.works("kafka", "kafka");
      const reason = `${topic} does not exist; create it, or start the producer, which creates it`;
      if (healthState.notReady("topic", reason)) log.warning("topic.missing", `Topic ${reason}`, { topic });
    },
    topicFound: (topic: string, topicId: string, partitions: number) => {
      outages.works("kafka", "kafka");
      if (!healthState.ready("topic") && known === topicId) return;
      known = topicId;
      log.info("topic.found", `Topic ${topic} has ${partitions} partitions`, { topic, topicId, partitions });
    },
    topicFailed: (failure: PipelineError) => outages.failed("kafka", "kafka", failure),
    /** Each partition calls this function, but only the first call is logged. */
    topicReplaced: (topic: string, topicId: string, earlier: readonly string[]) => {
      if (replacedBy === topicId) return;
      replacedBy = topicId;
      const message = `Topic ${topic} was deleted and created again: its partitions are read as new logs`;
      log.warning("topic.replaced", message, { topic, topicId, earlier });
    },
    leadersMissing: (topic: string, partitions: readonly number[]) => {
      const list = partitions.toSorted((a, b) => a - b).join(", ");
      const isNew = list !== leaderless;
      leaderless = list;
      if (list === "") {
        if (!healthState.ready("leaders")) return;
        return log.info("partitions.led", "Every assigned partition has a leader again");
      }
      const reason = `no broker leads partition ${list} of ${topic}; start the broker that has its records`;
      healthState.notReady("leaders", reason);
      if (isNew) log.warning("partitions.leaderless", `Reading continues, but ${reason}`, { partitions });
    },
  };
}
