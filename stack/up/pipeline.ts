import { join } from "node:path";
import { openDatabase, sessionLimits } from "../../workers/_shared/postgres.ts";
import type { Resources } from "../../workers/_shared/lifecycle.ts";
import type { Service, Stack } from "../mod.ts";
import { writeAddresses } from "../addresses.ts";
import type { UpFlags } from "../command_line.ts";
import type { LogLine } from "./worker_log.ts";
import { Worker } from "./worker.ts";
import { type Query, StatusSource } from "./status.ts";

/** Shares of the published records that are wrong, so that the user sees rejects and duplicates. */
const BAD_SHARE = 0.005;
const DUPLICATE_SHARE = 0.002;

export interface Pipeline {
  /** Contains only the servers that `up` starts itself. */
  readonly servers: readonly Service[];
  readonly workers: readonly Worker[];
  readonly status: StatusSource;
  readonly footer: readonly string[];
}

export interface PipelineOptions {
  readonly flags: UpFlags;
  readonly stack: Stack;
  readonly resources: Resources;
  readonly onLine: (line: LogLine) => void;
  readonly onProgress: (text: string) => void;
}

export async function startPipeline(options: PipelineOptions): Promise<Pipeline> {
  const { flags, stack, resources, onLine, onProgress } = options;
  const folder = join(stack.home, "workers");
  await Deno.mkdir(folder, { recursive: true });
  // The workers inherit all other settings, for example DATABASE_URL_FILE.
  const env = {
    ...(flags.ownKafka === undefined ? { KAFKA_BOOTSTRAP_SERVERS: stack.kafkaBootstrapServers } : {}),
    ...(flags.ownDatabaseUrl === undefined ? { DATABASE_URL: stack.databaseUrl } : {}),
    KAFKA_SESSION_TIMEOUT_MS: flags.sessionTimeoutMs,
  };
  const databaseUrl = flags.ownDatabaseUrl ?? stack.databaseUrl;
  const database = resources.use(
    "PostgreSQL connection",
    openDatabase(databaseUrl, { connections: 1, limits: sessionLimits(5_000), name: "heartbeat-up" }),
  );
  onProgress("Consumer: starting");
  const worker = (name: "consumer" | "producer", args: readonly string[]) =>
    resources.use(name, new Worker({ name, args, env, folder, pidFile: stack.pidFile(name), onLine }));
  const consumer = worker("consumer", []);
  const workers = [consumer];
  if (flags.producer) {
    onProgress(`Producer: starting, ${flags.customers} customers, ${flags.rate} records per second`);
    workers.push(worker("producer", producerArgs(flags)));
  }
  const query: Query = (sql) => database.query(sql);
  const { ownKafka, ownDatabaseUrl } = flags;
  const { hint } = resources.use(
    "addresses",
    writeAddresses(stack.home, "up", {
      KAFKA_BOOTSTRAP_SERVERS: ownKafka ?? stack.kafkaBootstrapServers,
      // The password of the user's own server is not written to a file.
      DATABASE_URL: ownDatabaseUrl === undefined ? databaseUrl : undefined,
    }),
  );
  const servers = [
    ...(ownKafka === undefined ? [stack.kafka] : []),
    ...(ownDatabaseUrl === undefined ? [stack.postgres] : []),
  ];
  return {
    servers,
    workers,
    status: new StatusSource({ servers, consumer, producer: workers[1] }, query),
    footer: [
      `Kafka ${
        ownKafka === undefined ? stack.kafkaBootstrapServers : `${ownKafka} (KAFKA_BOOTSTRAP_SERVERS is set)`
      }, ` +
      `PostgreSQL ${database.target}${ownDatabaseUrl === undefined ? "" : " (DATABASE_URL is set)"}`,
      hint,
      `Data and logs: ${stack.home}`,
      "Ctrl-C stops everything",
    ],
  };
}

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
