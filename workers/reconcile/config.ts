/**
 * Folder `reconcile`: checks the ledger against the tables and Kafka. It writes nothing, and imports nothing from
 * `workers/consumer`, which it audits.
 *
 * This file: the command line and the environment of `reconcile`.
 */
import { Command } from "commander";
import { readDatabaseAddress } from "../_shared/database_url.ts";
import { type Environment, parseSettings, readTogether } from "../_shared/env.ts";
import { KAFKA_SETTINGS, kafkaConnection } from "../_shared/kafka/client.ts";
import { DATABASE_SETTINGS } from "../_shared/postgres.ts";

/** Completes "Cannot start the ...". */
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
the lag, which is the number of offsets not read yet. reconcile counts the rejects and gaps of each log in their tables,
and the rows of heartbeats over all logs. It reads one snapshot, so consumers can keep writing.

It also recounts the minute aggregates and the latest readings from the rows, and compares them with their tables and
the pending changes of the rollup, down to the floor of retention. During a rebuild it compares only the rebuilt part.

Examples:
  DATABASE_URL=postgres://heartbeat_user:secret@127.0.0.1:5432/heartbeat_db deno task reconcile
  deno task reconcile --no-kafka
  deno task reconcile --json | jq .totals

Environment: DATABASE_URL (required), KAFKA_BOOTSTRAP_SERVERS (127.0.0.1:9092), KAFKA_TOPIC (heartbeats) and the other
KAFKA_* settings. If neither DATABASE_URL nor KAFKA_BOOTSTRAP_SERVERS is set, reconcile uses the servers of a running
\`deno task up\` or \`deno task stack\`. It also checks every topic that is in the ledger.
Exit codes: 0 everything is accounted for, 1 something is not or could not be checked, 2 a wrong flag or setting.`;
