/** All that the consumer says: the facts of each subject, joined; and those of the topic and of the whole program. */
import type { Fields, Log, Telemetry } from "../../_shared/telemetry.ts";
import type { LedgerSums } from "../store/ledger.ts";
import { batchFacts } from "./batch_facts.ts";
import { databaseFacts, tableFacts } from "./database_facts.ts";
import { type ConsumerMetrics, consumerMetrics } from "./metrics.ts";
import { Outages } from "./outages.ts";
import { logFacts, placeFacts } from "./partition_facts.ts";

export type { Position } from "./partition_facts.ts";
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
    ...tableFacts(log),
    ...programFacts(log),
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

function programFacts(log: Log) {
  return {
    healthListening: (port: number) =>
      log.info("health.listening", `/livez, /readyz and /metrics are answered on port ${port}`, { port }),
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
  };
}
