/**
 * Starts a real Kafka and a real PostgreSQL on this machine without Docker.
 *
 * @example
 * await using stack = await startStack({ home: await Deno.makeTempDir() });
 * await stack.destroy();
 */
import { join } from "node:path";
import { removeFolder } from "./process/clone.ts";
import { type Home, takeHome } from "./home.ts";
import { type KafkaOptions, startKafka } from "./kafka/kafka.ts";
import { fetchKafka, findKafka, type Kafka } from "./kafka/kafka_jars.ts";
import type { KafkaLink } from "./kafka/kafka_properties.ts";
import { claimPort, freePort, HOST } from "./network/ports.ts";
import { type Postgres, startPostgres } from "./postgres/postgres.ts";
import { installPostgres } from "./postgres/postgres_binaries.ts";
import { postgresPlace } from "./postgres/postgres_place.ts";
import { type PostgresTls, writePostgresTls } from "./postgres/postgres_tls.ts";
import type { Service } from "./process/service.ts";
import type { SmallDisk } from "./postgres/small_disk.ts";

export type { Service };

export interface StackOptions {
  /** Data folder. Only one process at a time may use it. */
  readonly home: string;
  readonly services?: readonly ("kafka" | "postgres")[];
  /** Default for both ports: 0, any free port. */
  readonly kafkaPort?: number;
  readonly postgresPort?: number;
  /** Replaces defaults of server.properties. Listeners are added (see `kafka_listeners.ts`). */
  readonly kafkaConfig?: Readonly<Record<string, string>>;
  /** Initial heap in MB, which grows when needed. With a small heap, the JVM collects garbage several times a second. */
  readonly kafkaHeapMb?: number;
  /**
   * Ports of links (see `link.ts`) that listen already; their targets may be set later. A client that connects through
   * a link reaches Kafka only through that link. Other clients do not notice the links.
   */
  readonly kafkaLinks?: readonly number[];
  /** Kafka keeps its data on this disk. The caller unmounts the disk after the servers have stopped. */
  readonly kafkaDisk?: SmallDisk;
  /** PostgreSQL runs in the namespace of this disk. `postgres_disk.ts` moves data to the disk. */
  readonly postgresDisk?: SmallDisk;
  /** Called when PostgreSQL answers, while Kafka may still be starting. If it fails, the start fails. */
  readonly onPostgres?: (postgres: Postgres, home: Home, signal: AbortSignal) => Promise<void>;
  /** If set, all users but the superuser must use TLS. */
  readonly postgresTls?: PostgresTls;
  readonly onProgress?: (text: string) => void;
  readonly signal?: AbortSignal;
}

export interface Stack extends AsyncDisposable {
  readonly home: string;
  /** Path of a pid file for another child process. If this process is killed, the next start ends that child. */
  readonly pidFile: (name: string) => string;
  /** @throws TypeError, like `kafka`, if Kafka is not among the services */
  readonly kafkaBootstrapServers: string;
  readonly kafka: Service;
  /** The target ports of the `kafkaLinks`. */
  readonly kafkaLinkPorts: readonly number[];
  /** @throws TypeError, like the next three members, if PostgreSQL is not among the services */
  readonly databaseUrl: string;
  readonly superuserUrl: string;
  readonly postgres: Service;
  /** Not below `home` if this process runs as root. */
  readonly postgresFolder: string;
  readonly destroy: () => Promise<void>;
}

export const KAFKA_PORT = { what: "Kafka", variable: "KAFKA_PORT", instead: "KAFKA_BOOTSTRAP_SERVERS" };
export const POSTGRES_PORT = { what: "PostgreSQL", variable: "POSTGRES_PORT", instead: "DATABASE_URL" };

type StartedPostgres = Postgres & { readonly folder: string };
type Servers = { kafka?: Service; postgres?: StartedPostgres };

/**
 * Ends what a killed run left behind in the data folder, starts the servers and waits until they answer.
 *
 * @throws PipelineError if a port is taken, a program is missing, the folder is in use or a server does not start
 */
export async function startStack(options: StackOptions): Promise<Stack> {
  const { services = ["kafka", "postgres"], kafkaPort = 0, postgresPort = 0 } = options;
  const onProgress = options.onProgress ?? (() => {});
  const program = services.includes("kafka")
    ? await findKafka({ JAVA_HOME: Deno.env.get("JAVA_HOME") })
    : undefined;
  await using opened = new AsyncDisposableStack();
  const home = opened.use(await takeHome(options.home));
  for (const { name, pid } of await home.endOrphans()) {
    onProgress(`Ended ${name} (process ${pid}), which a killed run left behind`);
  }
  // Check both ports before the download, which can take minutes.
  const kafkaAt = program === undefined ? 0 : await claimPort(kafkaPort, KAFKA_PORT);
  const kafkaLinks: KafkaLink[] = [];
  for (const proxyPort of options.kafkaLinks ?? []) kafkaLinks.push({ port: await freePort(), proxyPort });
  const postgresAt = services.includes("postgres") ? await claimPort(postgresPort, POSTGRES_PORT) : undefined;

  const servers: Servers = {};
  opened.defer(async () => {
    // Kafka, the source, stops before PostgreSQL, the sink.
    await servers.kafka?.stop();
    await servers.postgres?.service.stop();
  });
  // If one server cannot start, the start of the other is aborted.
  const failed = new AbortController();
  const signal = AbortSignal.any([failed.signal, ...(options.signal === undefined ? [] : [options.signal])]);
  const shared = { home, signal, onProgress };
  await Promise.all([
    program === undefined ? undefined : startOneKafka(
      program,
      {
        port: kafkaAt,
        links: kafkaLinks,
        config: options.kafkaConfig ?? {},
        startHeapMb: options.kafkaHeapMb,
      },
      { ...shared, disk: options.kafkaDisk },
    ).then((service) => void (servers.kafka = service)),
    postgresAt === undefined
      ? undefined
      : startOnePostgres(postgresAt, options.postgresTls, { ...shared, disk: options.postgresDisk })
        .then(async (postgres) => {
          servers.postgres = postgres;
          await options.onPostgres?.(postgres, home, signal);
        }),
  ].map((start) => start?.catch((error) => failed.abort(error))));
  signal.throwIfAborted();

  return stackOf(home, servers, kafkaLinks.map(({ port }) => port), opened.move());
}

function stackOf(
  home: Home,
  { kafka, postgres }: Servers,
  kafkaLinkPorts: readonly number[],
  owned: AsyncDisposableStack,
): Stack {
  const dispose = () => owned.disposeAsync();
  return {
    home: home.path,
    pidFile: home.pidFile,
    get kafkaBootstrapServers() {
      return `${HOST}:${started("kafka", kafka).port}`;
    },
    get kafka() {
      return started("kafka", kafka);
    },
    kafkaLinkPorts,
    get databaseUrl() {
      return started("postgres", postgres).databaseUrl;
    },
    get superuserUrl() {
      return started("postgres", postgres).superuserUrl;
    },
    get postgres() {
      return started("postgres", postgres).service;
    },
    get postgresFolder() {
      return started("postgres", postgres).folder;
    },
    destroy: async () => {
      await dispose();
      if (postgres !== undefined) await removeFolder(postgres.folder);
      await removeFolder(home.path);
    },
    [Symbol.asyncDispose]: dispose,
  };
}

interface StartOptions {
  readonly home: Home;
  readonly disk?: SmallDisk | undefined;
  readonly signal: AbortSignal;
  readonly onProgress: (text: string) => void;
}

async function startOneKafka(
  kafka: Kafka,
  broker: Pick<KafkaOptions, "port" | "links" | "config" | "startHeapMb">,
  { home, disk, ...options }: StartOptions,
): Promise<Service> {
  await fetchKafka(kafka, options);
  const own = { folder: join(home.path, "kafka"), pidFile: home.pidFile("kafka") };
  const onDisk = disk === undefined ? {} : {
    commandPrefix: disk.commandPrefix(),
    config: { "log.dirs": join(disk.path, "kafka"), ...broker.config },
  };
  return await startKafka(kafka, { ...broker, ...own, ...onDisk, ...options });
}

async function startOnePostgres(
  port: number,
  tls: PostgresTls | undefined,
  { home, disk, ...options }: StartOptions,
): Promise<StartedPostgres> {
  const { programs, folder, user } = await postgresPlace(home.path);
  if (user !== undefined) {
    options.onProgress(`PostgreSQL: runs as the user ${user.name}; its programs and data are in ${programs}`);
  }
  const binaries = await installPostgres(programs, options);
  const own = {
    folder: join(home.path, "postgres"),
    dataFolder: folder,
    pidFile: home.pidFile("postgres"),
    user,
    commandPrefix: disk?.commandPrefix(user),
    port,
    config: tls === undefined ? {} : await writePostgresTls(folder, user, tls),
  };
  return { ...await startPostgres(binaries, { ...own, ...options }), folder };
}

function started<T>(name: string, server: T | undefined): T {
  if (server === undefined) throw new TypeError(`${name} is not among the services of this stack`);
  return server;
}
