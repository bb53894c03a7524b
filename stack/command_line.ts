import { Command } from "commander";
import {
  decimal,
  type Environment,
  integer,
  optional,
  parseSettings,
  secret,
  settingsError,
  text,
} from "../workers/_shared/env.ts";
import { DATABASE_URL, databaseAddress } from "../workers/_shared/database_url.ts";
import { DEFAULT_HOME } from "../workers/_shared/running_servers.ts";

const PORT = { min: 0, max: 65_535, unit: "TCP port, 0 = any free one" };

export const STACK_SETTINGS = {
  KAFKA_PORT: integer({ ...PORT, default: 9092 }),
  POSTGRES_PORT: integer({ ...PORT, default: 5432 }),
};

const FLAG = text({ expected: "true or false", default: "false" });

const STACK_FLAGS = {
  home: text({ expected: "a folder", default: DEFAULT_HOME }),
  "kafka-port": optional(integer(PORT)),
  "postgres-port": optional(integer(PORT)),
};

const STACK_ONLY_FLAGS = {
  ...STACK_FLAGS,
  detach: FLAG,
  stop: FLAG,
};

const UP_FLAGS = {
  ...STACK_FLAGS,
  customers: integer({ min: 1, max: 1_000_000, unit: "synthetic customers", default: 200 }),
  rate: decimal({ min: 0.001, max: 1_000_000, unit: "records per second", default: 100 }),
  producer: text({ expected: "true or false", default: "true" }),
  monitor: text({ expected: "true or false", default: "true" }),
};

/** If the address of a server is given, `up` does not start that server. */
const OWN_SERVERS = {
  KAFKA_BOOTSTRAP_SERVERS: optional(text({ expected: "host:port, several separated by commas" })),
  DATABASE_URL: optional(secret({ expected: "postgres://user:password@host:5432/database" })),
  READER_DATABASE_URL: optional(DATABASE_URL),
};

export interface StackFlags {
  readonly home: string;
  readonly kafkaPort: number;
  readonly postgresPort: number;
}

export interface StackOnlyFlags extends StackFlags {
  readonly detach: boolean;
  readonly stop: boolean;
}

export interface UpFlags extends StackFlags {
  readonly ownKafka: string | undefined;
  readonly ownDatabaseUrl: string | undefined;
  readonly ownReaderUrl: string | undefined;
  readonly customers: number;
  readonly rate: number;
  readonly producer: boolean;
  readonly monitor: boolean;
  readonly sessionTimeoutMs: string;
}

/**
 * @throws UsageError with every wrong flag and variable
 * @throws CommanderError after --help, and for an unknown flag
 */
export function parseStackFlags(args: readonly string[], env: Environment): StackOnlyFlags {
  const flags = parseFlags("stack", stackCommand(), STACK_ONLY_FLAGS, args);
  const [detach, stop] = [flags.detach === "true", flags.stop === "true"];
  if (detach && stop) {
    throw settingsError("stack", ["--stop: is given with --detach, expected one of the two"]);
  }
  return { ...withPorts("stack", flags, env), detach, stop };
}

export function parseUpFlags(
  args: readonly string[],
  env: Environment,
  readFile: (path: string) => string,
): UpFlags {
  const flags = parseFlags("pipeline", upCommand(), UP_FLAGS, args);
  const own = parseSettings("pipeline", OWN_SERVERS, env, { readFile });
  // A wrong URL must be reported before Kafka starts.
  if (own.DATABASE_URL !== undefined) databaseAddress("pipeline", own.DATABASE_URL, readFile);
  else if (own.READER_DATABASE_URL !== undefined) {
    const problem = "READER_DATABASE_URL: is set without DATABASE_URL, expected both or none";
    throw settingsError("pipeline", [problem]);
  }
  return {
    ...withPorts("pipeline", flags, env),
    ownKafka: own.KAFKA_BOOTSTRAP_SERVERS,
    ownDatabaseUrl: own.DATABASE_URL,
    ownReaderUrl: own.READER_DATABASE_URL,
    customers: flags.customers,
    rate: flags.rate,
    producer: flags.producer === "true",
    monitor: flags.monitor === "true",
    sessionTimeoutMs: env["KAFKA_SESSION_TIMEOUT_MS"] || UP_SESSION_TIMEOUT_MS,
  };
}

/** Shorter than the workers' default of 30 s, so that a restarted consumer gets its partitions sooner. */
const UP_SESSION_TIMEOUT_MS = "10000";

function parseFlags<S extends Parameters<typeof parseSettings>[1]>(
  program: string,
  command: Command,
  shape: S,
  args: readonly string[],
) {
  const values: Record<string, string> = {};
  for (const [name, value] of Object.entries(command.parse([...args], { from: "user" }).opts())) {
    values[name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)] = String(value);
  }
  return parseSettings(program, shape, values, { label: (name) => `--${name}` });
}

function withPorts(
  program: string,
  flags: { home: string; "kafka-port": number | undefined; "postgres-port": number | undefined },
  env: Environment,
): StackFlags {
  const ports = parseSettings(program, STACK_SETTINGS, env);
  return {
    home: flags.home,
    kafkaPort: flags["kafka-port"] ?? ports.KAFKA_PORT,
    postgresPort: flags["postgres-port"] ?? ports.POSTGRES_PORT,
  };
}

function withStackOptions(command: Command): Command {
  return command.exitOverride()
    .option("--home <folder>", "data folder (default .stack/data of this clone)")
    .option("--kafka-port <port>", "overrides KAFKA_PORT (default 9092; 0 = any free port)")
    .option("--postgres-port <port>", "overrides POSTGRES_PORT (default 5432; 0 = any free port)");
}

function stackCommand(): Command {
  return withStackOptions(new Command("stack"))
    .description("Runs a real Kafka broker and a real PostgreSQL server on this machine until Ctrl-C.")
    .option("--detach", "return when both servers answer; they run in the background until --stop")
    .option("--stop", "stop the servers of the data folder, started with --detach or in another terminal")
    .addHelpText(
      "after",
      `
When both servers answer, the program prints five lines to standard output: KAFKA_BOOTSTRAP_SERVERS=...,
DATABASE_URL=... (the owner's), HEARTBEAT_WRITER_PASSWORD=..., HEARTBEAT_READER_PASSWORD=... and READER_DATABASE_URL=....
Everything else goes to standard error. While the servers run, the file addresses.env in the data folder has the same
lines. The other tasks of this clone read that file if neither KAFKA_BOOTSTRAP_SERVERS nor DATABASE_URL is set and the data
folder is the default one. Each start makes new passwords for the roles heartbeat_writer and heartbeat_reader; \`consume\`
gives these roles their rights. The data stays after the program ends. Delete the data folder to start with empty servers.

Examples:
  deno task stack                                      in a second terminal: deno task consume
  deno task stack --detach                             later: deno task stack --stop
  deno task stack --kafka-port 0 --postgres-port 0 --home ./scratch
  deno task --env-file=./scratch/addresses.env consume
  deno task stack > stack.env &                        when it has five lines: deno task --env-file=stack.env consume

Environment: KAFKA_PORT (default 9092), POSTGRES_PORT (default 5432), JAVA_HOME (searched for Java instead of PATH).
The program needs Java 17 or later. The first start also needs Maven.`,
    );
}

function upCommand(): Command {
  return withStackOptions(new Command("up"))
    .description(
      "Runs the whole pipeline on this machine until Ctrl-C: Kafka, PostgreSQL, consumer, producer, monitor page.",
    )
    .option("--customers <n>", "synthetic customers (default 200)")
    .option("--rate <n>", "records per second, for all customers together (default 100)")
    .option("--no-producer", "start no producer, to publish your own data")
    .option("--no-monitor", "start no monitor page")
    .addHelpText(
      "after",
      `
About 1 % of the published records are bad on purpose, so that you can see rejects. The data stays after the program ends.
The address of the monitor page has a token that works once. Then \`up\` shows a new address.

Examples:
  deno task up
  deno task up --customers 1000 --rate 500
  KAFKA_PORT=19092 POSTGRES_PORT=15432 deno task up      if the default ports are taken
  KAFKA_BOOTSTRAP_SERVERS=broker:9092 deno task up       uses your own broker and starts only PostgreSQL
  deno task up --no-producer                             in a second terminal: deno task produce --file heartrate.csv ...

Environment: KAFKA_BOOTSTRAP_SERVERS and DATABASE_URL (your own servers), READER_DATABASE_URL (with DATABASE_URL: the login
of the monitor page, which may only read), KAFKA_PORT (default 9092), POSTGRES_PORT (default 5432), JAVA_HOME, NO_COLOR, and
all settings of the workers. The program needs Java 17 or later. The first start also needs Maven.`,
    );
}
