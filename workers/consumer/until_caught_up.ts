/** Knows when everything that was in the topic at one moment is accounted for, whoever of the group did it. */
import { Consumer } from "@platformatic/kafka";
import { insist, sleep } from "../_shared/backoff.ts";
import { PipelineError } from "../_shared/errors.ts";
import { describeTopic, type KafkaConnection } from "../_shared/kafka.ts";
import { bearLeaderless } from "../_shared/leaderless.ts";
import type { Database } from "../_shared/postgres.ts";
import { nextOffsets } from "./ledger.ts";
import { endOffsets } from "./log_range.ts";
import type { Progress } from "./progress.ts";
import type { Offset } from "./records.ts";

const POLL_MS = 200;
const POLLS_A_LOOK = 25;

/**
 * Resolves when the ledger has reached the ends that the partitions have now, or `signal` aborted.
 *
 * @throws PipelineError `offset_out_of_range` when a partition is held, since it will not get there
 */
export async function untilCaughtUp(
  connection: KafkaConnection,
  database: Database,
  progress: Progress,
  { signal }: { signal: AbortSignal },
): Promise<void> {
  const client = bearLeaderless(new Consumer({ ...connection.options, groupId: "heartbeat-ends" }));
  try {
    const goal = await insist(
      async () => {
        const topic = await describeTopic(client, connection.topic);
        if (topic === undefined) throw new Error(`topic ${connection.topic} does not exist`);
        return { topicId: topic.id, ends: await endOffsets(client, connection.topic, topic.leaders.length) };
      },
      () => {},
      { signal },
    );
    for (let polls = 0; goal !== undefined && !signal.aborted; polls++) {
      if (polls % POLLS_A_LOOK === 0) await requireSameTopic(client, connection.topic, goal.topicId);
      const held = progress.readyReasons().find((reason) => reason.startsWith("partition "));
      if (held !== undefined) throw new PipelineError("offset_out_of_range", `Cannot catch up: ${held}`);
      const reached = await nextOffsets(database, goal.topicId).catch(() => new Map<number, number>());
      const isReached = goal.ends.every((end, partition) => (reached.get(partition) ?? -1) >= end);
      if (isReached && await noneIsAheadOfKafka(client, connection.topic, goal.ends.length, reached)) return;
      await sleep(POLL_MS, { signal });
    }
  } finally {
    await client.close().catch(() => {});
  }
}

/** A ledger ahead of its log stands in one that was cut: what the log holds now is still to be read. */
async function noneIsAheadOfKafka(
  client: Consumer,
  topic: string,
  partitions: number,
  reached: ReadonlyMap<number, Offset>,
): Promise<boolean> {
  const ends = await endOffsets(client, topic, partitions).catch(() => []);
  return ends.length > 0 && ends.every((end, partition) => (reached.get(partition) ?? 0) <= end);
}

/** The ends of a topic that is gone are never reached. */
async function requireSameTopic(client: Consumer, topic: string, topicId: string): Promise<void> {
  const now = await describeTopic(client, topic).catch(() => ({ id: topicId }));
  if (now?.id === topicId) return;
  throw new PipelineError(
    "topic_missing",
    `Cannot catch up: topic ${topic} was deleted or made again; start anew`,
  );
}
