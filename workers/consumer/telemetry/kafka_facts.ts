/** Facts about Kafka: the logs of the assigned partitions, the group, the brokers and the topic. */
import type { PipelineError } from "../../_shared/errors.ts";
import { type AssignedPartition, HELD } from "../health/health_state.ts";
import type { Partition } from "../kafka_partition/partition.ts";
import type { Gap } from "../kafka_partition/slice.ts";
import type { TelemetrySinks } from "./batch_facts.ts";

export function logFacts({ log, metrics, healthState }: TelemetrySinks) {
  return {
    /** Once a second. @param due records that could be stored, of all these partitions */
    positions: (partitions: readonly Partition[], due: number) => {
      healthState.lag(due);
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
    partitionSilent: (of: AssignedPartition, reason: string) => {
      if (!healthState.notReady("log", reason, of)) return;
      log.error("partition.silent", `Cannot read partition ${of.partition}: ${reason}`, {
        partition: of.partition,
      });
    },
    partitionHeard: (of: AssignedPartition) => {
      if (!healthState.ready("log", of)) return;
      log.info("partition.heard", `Kafka sends records of partition ${of.partition} again`, {
        partition: of.partition,
      });
    },
    batchCorrupt: (of: AssignedPartition, failure: PipelineError, broker: number) => {
      if (!healthState.notReady("records", failure.message, of)) return;
      log.error("partition.unreadable", failure.message, { partition: of.partition, broker });
    },
    batchReadable: (of: AssignedPartition) => {
      if (!healthState.ready("records", of)) return;
      log.info("partition.readable", `Records of partition ${of.partition} can be read again`, {
        partition: of.partition,
      });
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
      log.info("group.assigned", `The group gave us ${assigned.length} partitions`, {
        partitions,
        generation,
      });
    },
    offsetsNotCommitted: (error: unknown) =>
      log.debug("group.commit_failed", "The group was not told our offsets", { error }),
    fetched: (broker: number) => outages.works("kafka", `broker ${broker}`),
    fetchFailed: (broker: number, failure: PipelineError, partitions: readonly number[]) =>
      outages.failed("kafka", `broker ${broker}`, failure, { broker, partitions }),
    /** Normal while leaders move: it makes the consumer not ready, and is logged at debug only. */
    metadataStale: (broker: number, answer: string) => {
      healthState.notReady(`broker ${broker}`, answer);
      log.debug("topic.stale", `The broker answered ${answer}; looking at the topic again`, { broker });
    },
    /** A fetch from this broker began or ended: the loop does not hang. */
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
      const is = `${topic} does not exist; create it, or start the producer, which does`;
      if (healthState.notReady("topic", is)) log.warning("topic.missing", `Topic ${is}`, { topic });
    },
    /** Reported once for each incarnation, and when the topic is no longer missing. */
    topicFound: (topic: string, topicId: string, partitions: number) => {
      outages.works("kafka", "kafka");
      if (!healthState.ready("topic") && known === topicId) return;
      known = topicId;
      log.info("topic.found", `Topic ${topic} has ${partitions} partitions`, { topic, topicId, partitions });
    },
    topicFailed: (failure: PipelineError) => outages.failed("kafka", "kafka", failure),
    /** Reported once for each incarnation, whichever partition notices first. */
    topicReplaced: (topic: string, topicId: string, earlier: readonly string[]) => {
      if (replacedBy === topicId) return;
      replacedBy = topicId;
      const message = `Topic ${topic} was deleted and made again: its partitions are read as new logs`;
      log.warning("topic.replaced", message, { topic, topicId, earlier });
    },
    /** Reported when they change. @param partitions assigned ones that no broker leads */
    leadersMissing: (topic: string, partitions: readonly number[]) => {
      const list = partitions.toSorted((a, b) => a - b).join(", ");
      if (list === "" && healthState.ready("leaders")) {
        log.info("partitions.led", "Each of our partitions has a leader again");
      }
      const is = `no broker leads partition ${list} of ${topic}; start the broker that has its records`;
      if (list !== "") healthState.notReady("leaders", is);
      if (list !== "" && list !== leaderless) {
        log.warning("partitions.leaderless", `Reading goes on, but ${is}`, { partitions });
      }
      leaderless = list;
    },
  };
}
