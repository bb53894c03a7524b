/** Runs a worker that is set up wrongly: it must say what to do, show nothing that is secret, and write nothing. */
import { deepStrictEqual } from "node:assert";
import { withClient } from "../../stack/postgres/postgres_client.ts";
import { eventually } from "../../lab/eventually.ts";
import type { Place } from "../../lab/place.ts";
import { assertNoSecrets } from "../support/secret_forms.ts";
import { WorkerProcess } from "../../lab/worker_process.ts";

type Worker = "consumer" | "producer" | "reconcile" | "scenarios";

/** Arguments with which each would write something, or look at something, and end. */
const ARGUMENTS: Readonly<Record<Worker, readonly string[]>> = {
  consumer: ["--until-caught-up"],
  producer: ["--count", "3", "--rate", "1000"],
  reconcile: [],
  scenarios: ["--only", "duplicate", "--timeout", "4s"],
};

export interface Refusal {
  /** The operator's next step, in the error. */
  readonly says: RegExp;
  readonly secrets: readonly string[];
}

/** Environment of a worker on this place; `env` wins. */
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
 * Starts the workers at the same time and waits until each has said it.
 *
 * @throws AssertionError when one is silent, ends as if all were well, shows a secret, or when anything was written
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
      if (!worker.running) throw new Error(`it ended with ${(await worker.exited).code}:\n${worker.tail()}`);
      return false;
    }, { seen: () => worker.tail() });
    // Either it has ended by itself by now, or it waits for better times: then it ends in order.
    worker.kill("SIGTERM");
    const code = await worker.exitCode();
    const allowed = name === "consumer" || name === "producer" ? [0, 1] : [1];
    if (!allowed.includes(code)) throw new Error(`the ${name} ended with ${code}:\n${worker.tail()}`);
    assertNoSecrets(worker.output, secrets);
  }));
  deepStrictEqual(await contents(place), before, "something was written");
}

/** What there is in Kafka and in the database. Asked as the superuser, whom no rule or certificate of a test keeps out. */
async function contents(place: Place): Promise<unknown> {
  return await withClient(place.superuserUrl, async (client) => {
    const { rows: tables } = await client.query<{ name: string }>(
      // A consumer that is refused says so in its status.
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
