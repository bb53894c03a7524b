import { openDatabase, sessionLimits } from "../../workers/_shared/postgres.ts";
import type { Resources } from "../../workers/_shared/lifecycle.ts";
import type { Service } from "../mod.ts";
import { writeAddresses } from "../addresses.ts";
import type { UpFlags } from "../command_line.ts";
import { sayProgress } from "../output.ts";
import type { LogLine } from "./worker_log.ts";
import { Worker, type WorkerOptions } from "./worker.ts";
import type { StartedServers } from "./servers.ts";
import { type Query, StatusSource } from "./status.ts";

/** Shares of the published records that are wrong, so that the user sees rejects and duplicates. */
const BAD_SHARE = 0.005;
const DUPLICATE_SHARE = 0.002;

export interface Pipeline {
  /** Contains only the servers that `up` starts itself. */
  readonly servers: readonly Service[];
  /** The consumer and the producer. */
  readonly workers: readonly Worker[];
  readonly monitor: Worker | undefined;
  readonly status: StatusSource;
  readonly footer: readonly string[];
}

export interface PipelineOptions extends StartedServers {
  readonly flags: UpFlags;
  readonly resources: Resources;
  readonly onLine: (line: LogLine) => void;
}

export function startPipeline(options: PipelineOptions): Pipeline {
  const { flags, stack, logins, resources, onLine } = options;
  const { home, pidFile } = stack;
  const { ownKafka, ownDatabaseUrl } = flags;
  const kafka = ownKafka ?? stack.kafkaBootstrapServers;
  const readerUrl = logins?.variables.READER_DATABASE_URL ?? flags.ownReaderUrl;
  // The workers inherit all other settings, for example DATABASE_URL_FILE.
  const env = {
    KAFKA_BOOTSTRAP_SERVERS: kafka,
    ...(logins === undefined ? {} : { DATABASE_URL: logins.writerUrl }),
    KAFKA_SESSION_TIMEOUT_MS: flags.sessionTimeoutMs,
  };
  const session = { connections: 1, limits: sessionLimits(5_000), name: "heartbeat-up" };
  const database = resources.use(
    "PostgreSQL connection",
    openDatabase(readerUrl ?? ownDatabaseUrl ?? stack.databaseUrl, session),
  );
  const startWorker = (options: Pick<WorkerOptions, "name" | "args" | "env" | "acceptedAt">) =>
    new Worker({ ...options, home, pidFile: pidFile(options.name), onLine });
  // Resources close in reverse order: the monitor starts last, but stops after the consumer.
  let monitor: Worker | undefined;
  resources.defer("monitor", async () => await monitor?.[Symbol.asyncDispose]());
  sayProgress("Consumer: starting");
  const consumer = resources.use(
    "consumer",
    startWorker({ name: "consumer", args: [], env, acceptedAt: "schema.migrated" }),
  );
  const workers = [consumer];
  if (flags.producer) {
    sayProgress(`Producer: starting, ${flags.customers} customers, ${flags.rate} records per second`);
    const producer = startWorker({ name: "producer", args: producerArgs(flags), env });
    workers.push(resources.use("producer", producer));
  }
  if (flags.monitor && readerUrl !== undefined) {
    const env = { DATABASE_URL: readerUrl, DATABASE_URL_FILE: "" };
    monitor = startWorker({ name: "monitor", args: [], env });
  }
  const query: Query = (sql) => database.query(sql);
  // The passwords of the user's own server are not written to the file.
  const addresses = { KAFKA_BOOTSTRAP_SERVERS: kafka, ...logins?.variables };
  const { hint } = resources.use("addresses", writeAddresses(home, "up", addresses));
  const servers = [
    ...(ownKafka === undefined ? [stack.kafka] : []),
    ...(ownDatabaseUrl === undefined ? [stack.postgres] : []),
  ];
  return {
    servers,
    workers,
    monitor,
    status: new StatusSource({ servers, consumer, producer: workers[1] }, query),
    footer: [
      `Kafka ${kafka}${ownKafka === undefined ? "" : " (KAFKA_BOOTSTRAP_SERVERS is set)"}, ` +
      `PostgreSQL ${database.target}${ownDatabaseUrl === undefined ? "" : " (DATABASE_URL is set)"}`,
      hint,
      `Data and logs: ${home}`,
      ...(flags.monitor && monitor === undefined ? [NO_READER] : []),
      "Ctrl-C stops everything",
    ],
  };
}

const NO_READER =
  "No monitor page: set READER_DATABASE_URL to the address of the same database with a login that " +
  "only reads, such as heartbeat_reader (docs/install.md)";

function producerArgs({ customers, rate }: UpFlags): string[] {
  return Object.entries({
    "customers": customers,
    "rate": rate,
    // With the same seed, a second run would publish the same readings, and all would be duplicates.
    "seed": Math.floor(Math.random() * 2 ** 32),
    "out-of-range-rate": BAD_SHARE,
    "malformed-rate": BAD_SHARE,
    "duplicate-rate": DUPLICATE_SHARE,
  }).flatMap(([name, value]) => [`--${name}`, String(value)]);
}
