/**
 * Folder `reconcile`: recounts the ledger from the tables and Kafka. It writes nothing, and shares no code with the consumer that
 * it audits.
 *
 * The command line and the environment of `reconcile`.
 */
import { Command } from "commander";
import { readDatabaseAddress } from "../_shared/database_url.ts";
import { type Environment, parseSettings, readTogether } from "../_shared/env.ts";
import { KAFKA_SETTINGS, type KafkaConnection, kafkaConnection } from "../_shared/kafka/client.ts";
import { DATABASE_SETTINGS } from "../_shared/postgres.ts";

const PROGRAM = "reconciliation";

/** Every environment variable that it reads. */
export const RECONCILE_SETTINGS = { ...KAFKA_SETTINGS, DATABASE_URL: DATABASE_SETTINGS.DATABASE_URL };

export interface ReconcileConfig {
  readonly databaseUrl: string;
  /** Undefined: only the database is looked at. */
  readonly kafka: KafkaConnection | undefined;
  readonly json: boolean;
  readonly secrets: readonly string[];
}

/**
 * @throws UsageError that names every setting that is wrong
 * @throws CommanderError after --help, or for a flag that does not exist
 */
export function readConfig(
  args: readonly string[],
  env: Environment,
  readFile: (path: string) => string,
): ReconcileConfig {
  const flags = createCommand().parse([...args], { from: "user" }).opts<{ json: boolean; kafka: boolean }>();
  const [settings, kafka, address] = readTogether(PROGRAM, [
    () => parseSettings(PROGRAM, RECONCILE_SETTINGS, env, { readFile }),
    () => flags.kafka ? kafkaConnection(PROGRAM, "heartbeat-reconcile", env, readFile) : undefined,
    () => readDatabaseAddress(PROGRAM, env, readFile),
  ]);
  const secrets = [...address.secrets, ...kafka?.secrets ?? []];
  return { databaseUrl: settings.DATABASE_URL, kafka, json: flags.json, secrets };
}

function createCommand(): Command {
  return new Command("reconcile").exitOverride()
    .description("Recounts the tables against the ledger, and the ledger against Kafka.")
    .option("--json", "one JSON object instead of a table", false)
    .option("--no-kafka", "look at the database only: no ends, no lag")
    .addHelpText("after", HELP);
}

const HELP = `
A line is one log: a partition of one incarnation of a topic, with the offsets from first to next, where each of them
ended (stored, duplicates, rejected, gaps), Kafka's committed end, and the lag: what is not read yet. Rejects and gaps
are recounted from their tables and the rows of heartbeats as a whole, in one snapshot: safe while consumers write.
Minutes and latest readings, with the changes that wait for the rollup, are compared with what the rows give, as far
back as no rows were dropped. While the rollup rebuilds them, only what it has rebuilt is compared.

Examples:
  DATABASE_URL=postgres://heartbeat_user:secret@127.0.0.1:5432/heartbeat_db deno task reconcile
  deno task reconcile --no-kafka
  deno task reconcile --json | jq .totals

Environment: DATABASE_URL (required), KAFKA_BOOTSTRAP_SERVERS (127.0.0.1:9092), KAFKA_TOPIC (heartbeats) and the other
KAFKA_* settings. With neither of the first two set, the servers of a running \`deno task up\` or \`deno task stack\` are
used. Topics that the ledger names are looked at as well.
Exit codes: 0 everything is accounted for, 1 something is not or could not be looked at, 2 called wrongly.`;
