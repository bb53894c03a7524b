/** The order of the two looks: first the database's snapshot, then Kafka. */
import { PipelineError } from "../_shared/errors.ts";
import type { KafkaConnection } from "../_shared/kafka/client.ts";
import type { Database } from "../_shared/postgres.ts";
import { judge, type Judgement } from "./judge.ts";
import { kafkaLogs } from "./kafka_logs.ts";
import { recount } from "./recount.ts";

/**
 * @param kafka undefined to leave Kafka out; when it is away the database's part is judged all the same
 * @throws PipelineError when PostgreSQL is away or refuses
 */
export async function reconcile(
  database: Database,
  kafka: KafkaConnection | undefined,
  { signal }: { signal: AbortSignal },
): Promise<Judgement> {
  const counted = await recount(database, { signal });
  if (kafka === undefined) return judge(counted, undefined);
  // Ends only grow: read after the snapshot, each is at or behind every offset in it.
  const topics = new Set([kafka.topic, ...counted.accounts.map(({ topic }) => topic)]);
  try {
    return judge(counted, await kafkaLogs(kafka, [...topics], { signal }));
  } catch (error) {
    if (!(error instanceof PipelineError)) throw error;
    return { ...judge(counted, undefined), unchecked: error.message };
  }
}
