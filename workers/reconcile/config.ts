/**
 * Folder `reconcile`: checks the ledger against the tables and Kafka. It writes nothing. It audits the consumer, so it imports
 * nothing of `workers/consumer`; both use `workers/_shared`.
 */
import { Command } from "commander";
import { readDatabaseAddress } from "../_shared/database_url.ts";
import { type Environment, parseSettings, readTogether } from "../_shared/env.ts";
import { KAFKA_SETTINGS, kafkaConnection } from "../_shared/kafka/client.ts";
import { DATABASE_SETTINGS } from "../_shared/postgres.ts";

/** The name in the error "Cannot start the reconciliation". */
const PROGRAM = "reconciliation";

export const RECONCILE_SETTINGS = { ...KAFKA_SETTINGS, DATABASE_URL: DATABASE_SETTINGS.DATABASE_URL };

/**
 * @throws UsageError that names every wrong setting
 * @throws CommanderError after --help and for an unknown flag
 */
export function readConfig(
  args: readonly string[],
  env: Environment,
  readFile: (path: string) => string,
) {
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
    .description("Recounts the tables and compares them with the ledger, and the ledger with Kafka.")
    .option("--json", "print one JSON object instead of a table", false)
    .option("--no-kafka", "check the database only, without the ends of the logs and the lag")
    .addHelpText("after", HELP);
}

const HELP = `
Each line is a log: one partition of one incarnation of a topic. It shows the offsets that were read (first to next),
how many of them are stored, duplicates, rejected and gaps, the end of the log in Kafka (its last stable offset), and
the lag, which is the number of offsets not read yet. reconcile compares the rejects and gaps of each log with their
tables. A row of heartbeats does not name its log, so reconcile compares only the total of all logs with these rows. It
reads one snapshot, so consumers can keep writing.

reconcile also recounts the minute aggregates and the latest readings from the rows above the floor of retention. It
compares the result with the tables of both. In this comparison, it adds to the tables the change rows that the rollup
has not applied yet. During a rebuild, it compares only the part that is already rebuilt.

Examples:
  DATABASE_URL=postgres://heartbeat_user:secret@127.0.0.1:5432/heartbeat_db deno task reconcile
  deno task reconcile --no-kafka
  deno task reconcile --json | jq .totals

Environment: DATABASE_URL (required), KAFKA_BOOTSTRAP_SERVERS (127.0.0.1:9092), KAFKA_TOPIC (heartbeats) and the other
KAFKA_* settings. If neither DATABASE_URL nor KAFKA_BOOTSTRAP_SERVERS is set, reconcile uses the servers of a running
\`deno task up\` or \`deno task stack\`. reconcile checks KAFKA_TOPIC and every other topic in the ledger.
Exit codes: 0 everything is accounted for, 1 something is not or could not be checked, 2 a wrong flag or setting.`;
