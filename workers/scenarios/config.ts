/** Folder `scenarios`: publishes known records, valid and malformed, and checks their outcomes. It only reads the database. */
import { Command } from "commander";
import { readDatabaseAddress } from "../_shared/database_url.ts";
import { type Environment, parseSettings, readTogether, settingsError, text } from "../_shared/env.ts";
import { LIMIT_SETTINGS, limitsFrom } from "../_shared/record/heartbeat.ts";
import { KAFKA_SETTINGS, kafkaConnection } from "../_shared/kafka/client.ts";
import { DATABASE_SETTINGS } from "../_shared/postgres.ts";
import type { Scenario } from "./catalogue/scenario.ts";

const PROGRAM = "scenarios";

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

/**
 * @returns undefined for `--list`
 * @throws UsageError that names every wrong setting
 * @throws CommanderError after --help and for an unknown flag
 */
export function readConfig(
  args: readonly string[],
  env: Environment,
  readFile: (path: string) => string,
  { all, newRunId }: { all: readonly Scenario[]; newRunId: string },
) {
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
      "Publishes known records, valid, malformed and malicious, and checks the outcome of each in the database.",
    )
    .option("--list", "list the scenarios and exit", false)
    .option(
      "--only <name>",
      "run only this scenario; can be given several times",
      (name, names) => [...names, name],
      [] as string[],
    )
    .option("--timeout <time>", "maximum wait for the consumer (default 30s)")
    .option("--run <id>", "id of the run, a part of its customer ids (default: a new id)")
    .addHelpText("after", HELP);
}

const HELP = `
A consumer must be running. Scenarios can run in any deployment, even while other records arrive: their customer ids
contain the id of the run, such as scenario-<run>-series, so runs do not affect each other. The same --run publishes the
same records again. These are duplicates, so the rows and the verdicts stay the same. The records stay in the topic and
in the tables. Do not delete their rows: reconcile would report them as missing.

Examples:
  DATABASE_URL=postgres://heartbeat_user:secret@127.0.0.1:5432/heartbeat_db deno task scenarios
  deno task scenarios --list
  deno task scenarios --only malformed --only duplicate --timeout 2m

Environment: DATABASE_URL (required), KAFKA_BOOTSTRAP_SERVERS (127.0.0.1:9092), KAFKA_TOPIC (heartbeats), the other
KAFKA_* settings. These need the same values as for the consumer: HEART_RATE_MIN (30), HEART_RATE_LOW (45),
HEART_RATE_HIGH (180), HEART_RATE_MAX (220), MAX_CLOCK_SKEW_SECONDS (300). If neither DATABASE_URL nor
KAFKA_BOOTSTRAP_SERVERS is set, scenarios use the servers of a running \`deno task up\` or \`deno task stack\`.
Exit codes: 0 every outcome is as expected, 1 one is not or could not be checked, 2 a wrong flag or setting.`;
