/**
 * Real Kafka and real PostgreSQL on this machine, without Docker: for `up`, for tests and for benchmarks.
 *
 * @example
 * await using stack = await startStack({ home: await Deno.makeTempDir() });
 * // stack.kafkaBootstrapServers, stack.databaseUrl, stack.postgres.freeze() ...
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
  /** Data folder; made when it is missing. One process at a time may use it. */
  readonly home: string;
  /** Which servers to start; both unless told. */
  readonly services?: readonly ("kafka" | "postgres")[];
  /** 0, the default, takes any free one. */
  readonly kafkaPort?: number;
  /** 0, the default, takes any free one. */
  readonly postgresPort?: number;
  /** Lines of server.properties that win over ours; listeners come on top of ours (`kafka_listeners.ts` makes some). */
  readonly kafkaConfig?: Readonly<Record<string, string>>;
  /** What Kafka's heap has from the start, MB; it grows when it has to. A small one is collected several times a second. */
  readonly kafkaHeapMb?: number;
  /**
   * Ports of links on this machine (see link.ts), which listen already and need not know their target yet. Clients that
   * come to Kafka through one stay behind it; the others go on as if it were not there.
   */
  readonly kafkaLinks?: readonly number[];
  /** Kafka keeps its data there. Whoever mounted it unmounts it, after the servers. */
  readonly kafkaDisk?: SmallDisk;
  /** PostgreSQL runs where it is mounted, and what `postgres_disk.ts` moves lies there. */
  readonly postgresDisk?: SmallDisk;
  /** With it, everybody but the superuser has to come by TLS. */
  readonly postgresTls?: PostgresTls;
  /** Sentences about downloads and starts. */
  readonly onProgress?: (text: string) => void;
  readonly signal?: AbortSignal;
}

export interface Stack extends AsyncDisposable {
  /** Absolute path of the data folder. */
  readonly home: string;
  /** Where the id of another child process is kept, so that the next start ends it when this one is killed. */
  readonly pidFile: (name: string) => string;
  /** @throws TypeError when Kafka is not among the services; so does `kafka` */
  readonly kafkaBootstrapServers: string;
  readonly kafka: Service;
  /** Where each of the `kafkaLinks` has to connect to. */
  readonly kafkaLinkPorts: readonly number[];
  /** @throws TypeError when PostgreSQL is not among the services; so do the next three */
  readonly databaseUrl: string;
  /** As PostgreSQL's superuser, whom no revoked right holds back. */
  readonly superuserUrl: string;
  readonly postgres: Service;
  /** Where PostgreSQL's data lies: not below `home` when run as root. */
  readonly postgresFolder: string;
  /** Stops both (Kafka first) and deletes the data folder and all that belongs to it. */
  readonly destroy: () => Promise<void>;
}

export const KAFKA_PORT = { what: "Kafka", variable: "KAFKA_PORT", instead: "KAFKA_BOOTSTRAP_SERVERS" };
export const POSTGRES_PORT = { what: "PostgreSQL", variable: "POSTGRES_PORT", instead: "DATABASE_URL" };

type StartedPostgres = Postgres & { readonly folder: string };
type Servers = { kafka?: Service; postgres?: StartedPostgres };

/**
 * Starts the servers and waits until they answer. What an earlier, killed run left running in the same data folder is
 * ended before.
 *
 * @throws PipelineError when a port is taken, a program is missing, the folder is in use or a server does not start
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
    onProgress(`Ended ${name}, process ${pid}, which a killed run had left behind`);
  }
  // Both before anything is fetched: nobody wants to wait for a download that ends in "port is taken".
  const kafkaAt = program === undefined ? 0 : await claimPort(kafkaPort, KAFKA_PORT);
  const kafkaLinks: KafkaLink[] = [];
  for (const proxyPort of options.kafkaLinks ?? []) kafkaLinks.push({ port: await freePort(), proxyPort });
  const postgresAt = services.includes("postgres") ? await claimPort(postgresPort, POSTGRES_PORT) : undefined;

  const servers: Servers = {};
  opened.defer(async () => {
    // PostgreSQL outlives Kafka, as the sink outlives the source.
    await servers.kafka?.stop();
    await servers.postgres?.service.stop();
  });
  // When one cannot start, the other does not go on.
  const failed = new AbortController();
  const signal = AbortSignal.any([failed.signal, ...(options.signal === undefined ? [] : [options.signal])]);
  const both = { home, signal, onProgress };
  await Promise.all([
    program === undefined ? undefined : startOneKafka(
      program,
      {
        port: kafkaAt,
        links: kafkaLinks,
        config: options.kafkaConfig ?? {},
        startHeapMb: options.kafkaHeapMb,
      },
      { ...both, disk: options.kafkaDisk },
    ).then((one) => void (servers.kafka = one)),
    postgresAt === undefined
      ? undefined
      : startOnePostgres(postgresAt, options.postgresTls, { ...both, disk: options.postgresDisk })
        .then((one) => void (servers.postgres = one)),
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
    options.onProgress(`PostgreSQL: runs as the user ${user.name}; its programs and data lie in ${programs}`);
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
