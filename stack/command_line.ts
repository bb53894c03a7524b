/** The flags and variables of `stack` and `up`, and what --help says of them. */
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
import { databaseAddress } from "../workers/_shared/database_url.ts";
import { DEFAULT_HOME } from "../workers/_shared/running_servers.ts";

const PORT = { min: 0, max: 65_535, unit: "TCP port, 0 = any free one" };

/** Also what `.env.example` lists. */
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
};

/** A server that somebody else runs; where it is given, none is started. */
const OWN_SERVERS = {
  KAFKA_BOOTSTRAP_SERVERS: optional(text({ expected: "host:port, several separated by commas" })),
  DATABASE_URL: optional(secret({ expected: "postgres://user:password@host:5432/database" })),
};

export interface StackFlags {
  readonly home: string;
  readonly kafkaPort: number;
  readonly postgresPort: number;
}

export interface StackOnlyFlags extends StackFlags {
  /** Go on in the background once both answer. */
  readonly detach: boolean;
  /** End what runs on the data folder, and start nothing. */
  readonly stop: boolean;
}

export interface UpFlags extends StackFlags {
  readonly ownKafka: string | undefined;
  readonly ownDatabaseUrl: string | undefined;
  readonly customers: number;
  /** Records per second. */
  readonly rate: number;
  readonly producer: boolean;
  /** For the consumer, which judges it. */
  readonly sessionTimeoutMs: string;
}

/**
 * @throws UsageError that names every wrong flag or variable
 * @throws CommanderError after --help, or for a flag that does not exist
 */
export function parseStackFlags(args: readonly string[], env: Environment): StackOnlyFlags {
  const flags = parseFlags("stack", stackCommand(), STACK_ONLY_FLAGS, args);
  const [detach, stop] = [flags.detach === "true", flags.stop === "true"];
  if (detach && stop) {
    throw settingsError("stack", ["--stop: is given with --detach, expected one of the two"]);
  }
  return { ...withPorts("stack", flags, env), detach, stop };
}

/**
 * @throws UsageError that names every wrong flag or variable
 * @throws CommanderError after --help, or for a flag that does not exist
 */
export function parseUpFlags(
  args: readonly string[],
  env: Environment,
  readFile: (path: string) => string,
): UpFlags {
  const flags = parseFlags("pipeline", upCommand(), UP_FLAGS, args);
  const own = parseSettings("pipeline", OWN_SERVERS, env, { readFile });
  // Told now, and not after Kafka was started for it.
  if (own.DATABASE_URL !== undefined) databaseAddress("pipeline", own.DATABASE_URL, readFile);
  return {
    ...withPorts("pipeline", flags, env),
    ownKafka: own.KAFKA_BOOTSTRAP_SERVERS,
    ownDatabaseUrl: own.DATABASE_URL,
    customers: flags.customers,
    rate: flags.rate,
    producer: flags.producer === "true",
    sessionTimeoutMs: env["KAFKA_SESSION_TIMEOUT_MS"] || UP_SESSION_TIMEOUT_MS,
  };
}

/** One consumer on one machine: when it dies, its successor need not wait as long as a fleet's would. */
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
    .option("--home <folder>", "where the data lies (default .stack/data of this clone)")
    .option("--kafka-port <port>", "instead of KAFKA_PORT (default 9092; 0 = any free one)")
    .option("--postgres-port <port>", "instead of POSTGRES_PORT (default 5432; 0 = any free one)");
}

function stackCommand(): Command {
  return withStackOptions(new Command("stack"))
    .description("Runs a real Kafka broker and a real PostgreSQL server on this machine until Ctrl-C.")
    .option("--detach", "return once both answer; they go on in the background until --stop")
    .option("--stop", "end what runs on the data folder, be it of --detach or in another terminal")
    .addHelpText(
      "after",
      `
Standard output gets two lines, KAFKA_BOOTSTRAP_SERVERS=... and DATABASE_URL=..., once both answer; all else goes to
standard error. The same lines are in addresses.env of the data folder while they run. The other tasks of this clone read
them there when neither variable is set and the data folder is the default one. The data is kept; delete the folder to
begin anew.

Examples:
  deno task stack                                      then, elsewhere: deno task consume
  deno task stack --detach                             ... and deno task stack --stop
  deno task stack --kafka-port 0 --postgres-port 0 --home ./scratch
  deno task --env-file=./scratch/addresses.env consume
  deno task stack > stack.env &                        once it has two lines: deno task --env-file=stack.env consume

Environment: KAFKA_PORT (9092), POSTGRES_PORT (5432), JAVA_HOME (where to look for Java before PATH).
Needs Java 17 or later, and Maven the first time.`,
    );
}

function upCommand(): Command {
  return withStackOptions(new Command("up"))
    .description(
      "Runs the whole pipeline on this machine until Ctrl-C: Kafka, PostgreSQL, consumer, producer.",
    )
    .option("--customers <n>", "synthetic customers (default 200)")
    .option("--rate <n>", "records per second, all customers together (default 100)")
    .option("--no-producer", "publish nothing: for data of your own")
    .addHelpText(
      "after",
      `
About 1 % of the published records are bad on purpose, so that there is something to see. The data is kept.

Examples:
  deno task up
  deno task up --customers 1000 --rate 500
  KAFKA_PORT=19092 POSTGRES_PORT=15432 deno task up      when the default ports are taken
  KAFKA_BOOTSTRAP_SERVERS=broker:9092 deno task up       a broker of your own; only PostgreSQL is started
  deno task up --no-producer                             then, elsewhere: deno task produce --file heartrate.csv ...

Environment: KAFKA_BOOTSTRAP_SERVERS, DATABASE_URL (servers of your own), KAFKA_PORT (9092), POSTGRES_PORT (5432),
JAVA_HOME, NO_COLOR, and all settings of the workers. Needs Java 17 or later, and Maven the first time.`,
    );
}
