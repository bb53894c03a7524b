import type { KafkaConnection } from "../_shared/kafka/client.ts";
import { type Database, databaseFailure } from "../_shared/postgres.ts";
import { collectEvidence, waitUntilProcessed } from "./evidence.ts";
import { judge, type Verdict } from "./judge.ts";
import { publish, type PublishOptions } from "./publish.ts";
import type { Run, Scenario } from "./catalogue/scenario.ts";

/**
 * @returns undefined if `signal` aborted first
 * @throws PipelineError if Kafka or PostgreSQL is unavailable or refuses; then some records may be published already
 */
export async function runScenarios(
  { kafka, database }: { kafka: KafkaConnection; database: Database },
  scenarios: readonly Scenario[],
  run: Run,
  { onProgress, ...options }: PublishOptions & { readonly onProgress: (text: string) => void },
): Promise<Verdict[] | undefined> {
  const records = scenarios.flatMap(({ name: scenario, records }) => {
    return records(run).map((record) => ({ ...record, scenario }));
  });
  // Checked before anything is published, so that a wrong password does not leave records that are never checked.
  await database.query("select 1").catch((error) => {
    throw databaseFailure("look up the records", database.target, error);
  });
  onProgress(
    `Run ${run.id}: publishing ${records.length} records to topic ${kafka.topic} at ${kafka.servers}`,
  );
  const publication = await publish(kafka, records, options);
  if (publication === undefined) return undefined;
  onProgress(`Waiting until a consumer has written them to PostgreSQL ${database.target}`);
  const next = await waitUntilProcessed(database, publication, options);
  if (options.signal.aborted) return undefined;
  return judge(publication.records, await collectEvidence(database, publication, next));
}
