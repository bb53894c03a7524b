import { deepStrictEqual } from "node:assert";
import { withClient } from "../../stack/postgres/postgres_client.ts";
import { eventually } from "../../lab/eventually.ts";
import type { Place } from "../../lab/place.ts";
import { assertNoSecrets } from "../support/secret_forms.ts";
import { WorkerProcess } from "../../lab/worker_process.ts";

type Worker = "consumer" | "producer" | "reconcile" | "scenarios";

// With these arguments each worker would read or write something and then end.
const ARGUMENTS: Readonly<Record<Worker, readonly string[]>> = {
  consumer: ["--until-caught-up"],
  producer: ["--count", "3", "--rate", "1000"],
  reconcile: [],
  scenarios: ["--only", "duplicate", "--timeout", "4s"],
};

export interface Refusal {
  /** The error must contain this next step for the operator. */
  readonly says: RegExp;
  readonly secrets: readonly string[];
}

export function environment(place: Place, env: Readonly<Record<string, string>>): Record<string, string> {
  return {
    KAFKA_BOOTSTRAP_SERVERS: place.stack.kafkaBootstrapServers,
    KAFKA_TOPIC: place.topic,
    KAFKA_GROUP_ID: place.topic,
    DATABASE_URL: place.databaseUrl,
    LOG_FORMAT: "json",
    ...env,
  };
}

/**
 * Starts the workers at the same time with a wrong setting, and waits until each says what to do.
 *
 * @throws AssertionError if a worker exits with 0 although it should fail, shows a secret, or writes anything
 */
export async function assertRefuses(
  place: Place,
  workers: readonly Worker[],
  env: Readonly<Record<string, string>>,
  { says, secrets }: Refusal,
): Promise<void> {
  const before = await contents(place);
  await Promise.all(workers.map(async (name) => {
    await using worker = WorkerProcess.start(name, { env: environment(place, env), args: ARGUMENTS[name] });
    await eventually(`the ${name} to say ${says}`, async () => {
      if (says.test(worker.output)) return true;
      if (!worker.running) {
        throw new Error(`the ${name} ended with ${(await worker.exited).code}:\n${worker.tail()}`);
      }
      return false;
    }, { seen: () => worker.tail() });
    // The worker has ended, or it waits and retries. If it retries, it must stop in order.
    worker.kill("SIGTERM");
    const code = await worker.exitCode();
    const allowed = name === "consumer" || name === "producer" ? [0, 1] : [1];
    if (!allowed.includes(code)) throw new Error(`the ${name} ended with ${code}:\n${worker.tail()}`);
    assertNoSecrets(worker.output, secrets);
  }));
  deepStrictEqual(await contents(place), before, "a worker wrote something");
}

// The superuser reads the tables, because the test may refuse other roles.
async function contents(place: Place): Promise<unknown> {
  return await withClient(place.superuserUrl, async (client) => {
    const { rows: tables } = await client.query<{ name: string }>(
      // A consumer that Kafka refuses still stores its status.
      `select oid::regclass::text as name from pg_class
        where relnamespace = 'public'::regnamespace and relkind = 'r' and relname <> 'consumer_status' order by 1`,
    );
    const rows: string[] = [];
    for (const { name } of tables) {
      const { rows: [row] } = await client.query<{ count: string }>(`select count(*) as count from ${name}`);
      rows.push(`${name}: ${row?.count}`);
    }
    return { ends: await place.ends(), rows };
  });
}
