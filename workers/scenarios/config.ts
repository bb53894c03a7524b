/**
 * Folder `scenarios`: publishes known payloads, good and hostile, and looks each up where it must have ended. It never writes to the
 * database.
 *
 * The command line and the environment of `scenarios`.
 */
import { Command } from "commander";
import { readDatabaseAddress } from "../_shared/database_url.ts";
import { type Environment, parseSettings, readTogether, settingsError, text } from "../_shared/env.ts";
import { LIMIT_SETTINGS, type Limits, limitsFrom } from "../_shared/record/heartbeat.ts";
import { KAFKA_SETTINGS, type KafkaConnection, kafkaConnection } from "../_shared/kafka/client.ts";
import { DATABASE_SETTINGS } from "../_shared/postgres.ts";
import type { Scenario } from "./catalogue/scenario.ts";

const PROGRAM = "scenarios";

/** Every environment variable that they read. */
export const SCENARIO_SETTINGS = {
  ...KAFKA_SETTINGS,
  DATABASE_URL: DATABASE_SETTINGS.DATABASE_URL,
  ...LIMIT_SETTINGS,
};

const FLAGS = {
  timeout: text({
    expected: "a time such as 500ms, 30s or 2m",
    pattern: /^\d{1,6}(ms|s|m)$/,
    default: "30s",
  }),
  run: text({ expected: "1 to 40 letters, digits, dots, underscores or hyphens", pattern: /^[\w.-]{1,40}$/ }),
};

const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000 };

export interface ScenarioConfig {
  readonly kafka: KafkaConnection;
  readonly databaseUrl: string;
  readonly secrets: readonly string[];
  readonly limits: Limits;
  readonly scenarios: readonly Scenario[];
  readonly runId: string;
  readonly timeoutMs: number;
  /** As it was written. */
  readonly timeout: string;
}

/**
 * @param all the scenarios that there are
 * @param newRunId the name of a run that was not given one
 * @returns undefined when only the list is wanted
 * @throws UsageError that names every setting that is wrong
 * @throws CommanderError after --help, or for a flag that does not exist
 */
export function readConfig(
  args: readonly string[],
  env: Environment,
  readFile: (path: string) => string,
  { all, newRunId }: { all: readonly Scenario[]; newRunId: string },
): ScenarioConfig | undefined {
  const given = createCommand().parse([...args], { from: "user" })
    .opts<{ list: boolean; only: string[]; timeout?: string; run?: string }>();
  if (given.list) return undefined;
  const flags = parseSettings(PROGRAM, FLAGS, { timeout: given.timeout, run: given.run ?? newRunId }, {
    label: (name) => `--${name}`,
  });
  const scenarios = select(all, given.only);
  const [settings, kafka, address] = readTogether(PROGRAM, [
    () => parseSettings(PROGRAM, SCENARIO_SETTINGS, env, { readFile }),
    () => kafkaConnection(PROGRAM, "heartbeat-scenarios", env, readFile),
    () => readDatabaseAddress(PROGRAM, env, readFile),
  ]);
  return {
    kafka,
    databaseUrl: settings.DATABASE_URL,
    secrets: [...address.secrets, ...kafka.secrets],
    limits: limitsFrom(settings, PROGRAM),
    scenarios,
    runId: flags.run,
    timeoutMs: parseInt(flags.timeout) * (UNIT_MS[flags.timeout.replace(/\d+/, "")] ?? NaN),
    timeout: flags.timeout,
  };
}

function select(all: readonly Scenario[], names: readonly string[]): readonly Scenario[] {
  const known = new Set(all.map(({ name }) => name));
  const unknown = names.filter((name) => !known.has(name));
  if (unknown.length > 0) {
    const expected = `expected one of ${[...known].join(", ")}`;
    throw settingsError(PROGRAM, unknown.map((name) => `--only: is ${JSON.stringify(name)}, ${expected}`));
  }
  return names.length === 0 ? all : all.filter(({ name }) => names.includes(name));
}

function createCommand(): Command {
  return new Command("scenarios").exitOverride()
    .description(
      "Publishes known records, good, bad and hostile, and looks each up where it must have ended.",
    )
    .option("--list", "name the scenarios and stop", false)
    .option(
      "--only <name>",
      "this scenario; may be given several times",
      (name, names) => [...names, name],
      [] as string[],
    )
    .option("--timeout <time>", "how long the consumer may take (default 30s)")
    .option("--run <id>", "names the run's customers (default: a new id for each run)")
    .addHelpText("after", HELP);
}

const HELP = `
It needs a running consumer and works against any deployment, with live traffic too: the customers are named after the
run, scenario-<run>-..., so runs do not meet. The same --run publishes the same records again: they are duplicates of
those before, the rows are the same, and so are the verdicts. The records stay in the topic and in the tables: rows that
were deleted by hand would be missed by reconcile.

Examples:
  DATABASE_URL=postgres://heartbeat_user:secret@127.0.0.1:5432/heartbeat_db deno task scenarios
  deno task scenarios --list
  deno task scenarios --only malformed --only duplicate --timeout 2m

Environment: DATABASE_URL (required), KAFKA_BOOTSTRAP_SERVERS (127.0.0.1:9092), KAFKA_TOPIC (heartbeats), the other
KAFKA_* settings, and, as the consumer has them: HEART_RATE_MIN (30), HEART_RATE_LOW (45), HEART_RATE_HIGH (180),
HEART_RATE_MAX (220), MAX_CLOCK_SKEW_SECONDS (300). With neither DATABASE_URL nor KAFKA_BOOTSTRAP_SERVERS set, the servers
of a running \`deno task up\` or \`deno task stack\` are used.
Exit codes: 0 every record ended where it must, 1 one did not, 2 called wrongly.`;
