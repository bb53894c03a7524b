/** Folder `consumer`: reads heart-rate records from Kafka and stores each once in PostgreSQL. This file: settings and flags. */
import { Command } from "commander";
import {
  choice,
  decimal,
  type Environment,
  integer,
  optional,
  parseSettings,
  readTogether,
  settingsError,
  text,
} from "../_shared/env.ts";
import { HEALTH_SETTINGS } from "../_shared/health.ts";
import { LIMIT_SETTINGS, limitsFrom } from "../_shared/record/heartbeat.ts";
import { KAFKA_SETTINGS, kafkaConnection } from "../_shared/kafka/client.ts";
import { readDatabaseAddress } from "../_shared/database_url.ts";
import { DATABASE_SETTINGS, sessionLimits } from "../_shared/postgres.ts";
import { LOG_SETTINGS } from "../_shared/telemetry.ts";
import { ROLE_SETTINGS } from "./schema/roles.ts";

const days = (unit: string) =>
  optional(integer({ min: 1, max: 100_000, unit: `days that ${unit} are kept` }));
const RETENTION_SETTINGS = {
  RETENTION_DAYS: days("readings"),
  MINUTE_RETENTION_DAYS: days("minutes"),
  REJECT_RETENTION_DAYS: days("key, payload and detail of rejects"),
};

/** `.env.example`, `docker-compose.yml` and the permissions in `deno.json` must name each setting, too. Unit tests check this. */
export const CONSUMER_SETTINGS = {
  ...KAFKA_SETTINGS,
  KAFKA_GROUP_ID: text({
    expected: "a consumer group's name",
    pattern: /^\S+$/,
    default: "heartbeat-consumer",
  }),
  KAFKA_SESSION_TIMEOUT_MS: integer({
    min: 6_000,
    max: 300_000,
    unit: "milliseconds without a heartbeat until the group assigns the partitions to other members",
    default: 30_000,
  }),
  KAFKA_OFFSET_RESET: choice(["fail", "earliest"], "fail"),
  BATCH_MAX_RECORDS: integer({ min: 1, max: 100_000, unit: "records in a batch, at most", default: 20_000 }),
  LOG_SUMMARY_SECONDS: integer({ min: 1, max: 3_600, unit: "seconds between summaries", default: 10 }),
  ...DATABASE_SETTINGS,
  ...ROLE_SETTINGS,
  ...LIMIT_SETTINGS,
  ...RETENTION_SETTINGS,
  ...HEALTH_SETTINGS,
  ...LOG_SETTINGS,
};

export type ConsumerConfig = ReturnType<typeof loadConsumerConfig>;

/** @throws UsageError that names every setting that is wrong */
export function loadConsumerConfig(env: Environment, readFile: (path: string) => string) {
  const [settings, address, kafka, limits, retention] = readTogether("consumer", [
    () => parseSettings("consumer", CONSUMER_SETTINGS, env, { readFile }),
    () => readDatabaseAddress("consumer", env, readFile),
    () => kafkaConnection("consumer", "heartbeat-consumer", env, readFile),
    () => limitsFrom(parseSettings("consumer", LIMIT_SETTINGS, env), "consumer"),
    () => loadRetention(env),
  ]);
  const roles = { writer: settings.HEARTBEAT_WRITER_PASSWORD, reader: settings.HEARTBEAT_READER_PASSWORD };
  return {
    kafka,
    groupId: settings.KAFKA_GROUP_ID,
    sessionTimeoutMs: settings.KAFKA_SESSION_TIMEOUT_MS,
    offsetReset: settings.KAFKA_OFFSET_RESET,
    batchRecords: settings.BATCH_MAX_RECORDS,
    summaryIntervalMs: settings.LOG_SUMMARY_SECONDS * 1000,
    limits: { ...limits, ...(retention.retentionDays && { retentionDays: retention.retentionDays }) },
    ...retention,
    database: {
      url: settings.DATABASE_URL,
      connections: settings.DATABASE_CONNECTIONS,
      limits: sessionLimits(settings.KAFKA_SESSION_TIMEOUT_MS),
      name: "heartbeat-consumer",
    },
    roles,
    health: settings,
    log: settings,
    secrets: [...kafka.secrets, ...address.secrets, roles.writer ?? "", roles.reader ?? ""],
  };
}

/** Minute aggregates must be kept as long as readings. Otherwise a late reading would start a deleted minute from zero. */
function loadRetention(env: Environment) {
  const settings = parseSettings("consumer", RETENTION_SETTINGS, env);
  const { RETENTION_DAYS: retentionDays, MINUTE_RETENTION_DAYS: minuteRetentionDays } = settings;
  if (minuteRetentionDays !== undefined && minuteRetentionDays < (retentionDays ?? Infinity)) {
    const least = retentionDays === undefined
      ? "RETENTION_DAYS to be set too"
      : `at least ${retentionDays}, RETENTION_DAYS`;
    throw settingsError("consumer", [`MINUTE_RETENTION_DAYS: is ${minuteRetentionDays}, expected ${least}`]);
  }
  return { retentionDays, minuteRetentionDays, rejectRetentionDays: settings.REJECT_RETENTION_DAYS };
}

const FLAGS = { "--timeout": optional(decimal({ min: 0.1, max: 1e6, unit: "seconds" })) };

export function parseConsumerFlags(args: readonly string[]) {
  const program = new Command("consume")
    .description("Reads heart-rate records from Kafka and stores each once in PostgreSQL.")
    .option(
      "--until-caught-up",
      "stop with exit code 0 when each record that the topic has now is accounted for",
      false,
    )
    .option(
      "--timeout <seconds>",
      "with --until-caught-up: stop with exit code 1 after this time, and report what is missing",
    )
    .option("--migrate-only", "migrate the schema, create the roles whose passwords are set, and exit", false)
    .addHelpText(
      "after",
      `
The consumer reads its settings from the environment; .env.example lists them. While \`deno task up\` or \`deno task stack\`
runs, a consumer without DATABASE_URL and KAFKA_BOOTSTRAP_SERVERS uses those servers, and gives the roles heartbeat_writer
and heartbeat_reader their rights there. Otherwise DATABASE_URL is required.

Examples:
  DATABASE_URL=postgres://heartbeat_user:secret@127.0.0.1:5432/heartbeat_db deno task consume
  deno task consume --migrate-only
  HEALTH_PORT=9464 deno task consume health-check      asks the consumer on this port; exits with 0 if it is ready
  HEALTH_PORT=9464 LOG_FORMAT=json deno task consume --until-caught-up --timeout 600

With --until-caught-up, the last line tells how many records were stored meanwhile, by this and all other consumers.

Exit codes: 0 orderly stop, 1 failure, 2 wrong settings, 130 stopped before it was done.`,
    )
    .exitOverride();
  program.parse([...args], { from: "user" });
  const { untilCaughtUp, migrateOnly, timeout } = program.opts<
    { untilCaughtUp: boolean; migrateOnly: boolean; timeout?: string }
  >();
  const { "--timeout": timeoutSeconds } = parseSettings("consumer", FLAGS, { "--timeout": timeout });
  const problems = [
    migrateOnly && untilCaughtUp && "--migrate-only: is given with --until-caught-up, expected one of them",
    timeout !== undefined && !untilCaughtUp &&
    "--timeout: is given without --until-caught-up, expected both or none",
  ].filter((problem) => problem !== false);
  if (problems.length > 0) throw settingsError("consumer", problems);
  return { untilCaughtUp, migrateOnly, timeoutSeconds };
}
