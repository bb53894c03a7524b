/**
 * Folder `kafka`: Kafka nodes as child processes: jars, configuration, listeners. It speaks to a broker only to see that it
 * answers.
 *
 * One Kafka node (KRaft) that keeps its data between starts: alone, or one of a cluster.
 */
import { randomBytes } from "node:crypto";
import { basename, join } from "node:path";
import { pathToFileURL } from "node:url";
import { Admin } from "@platformatic/kafka";
import { PipelineError } from "../../workers/_shared/errors.ts";
import { Child } from "../process/child.ts";
import { CLONE, exists, removeFolder, STACK_FOLDER } from "../process/clone.ts";
import type { Kafka } from "./kafka_jars.ts";
import { type KafkaLink, type KafkaNode, ONE_REPLICA, serverProperties } from "./kafka_properties.ts";
import { freePort, HOST, isPortTaken } from "../network/ports.ts";
import { type Service, startService } from "../process/service.ts";

/** Log4j takes a comma for the end of one address. */
const LOG_CONFIGURATION = pathToFileURL(join(CLONE, "stack", "kafka", "log4j2.xml")).href.replaceAll(
  ",",
  "%2C",
);
/** Java reads and writes the names of files in the locale's encoding, which may have no letters beyond ASCII. */
const JAVA_ENV = { LC_ALL: "C.UTF-8" };
/** The first stop of a clone also writes the class archive, which takes two of these seconds. */
const STOP_DEADLINE_MS = 6_000;
const FORMAT_HEAP_MB = 256;
const START_HEAP_MB = 64;
const MAX_HEAP_MB = 512;
/** Java warns of classes that are not in an archive. */
const QUIET = ["-Xlog:disable", "-Xlog:all=error:stderr"];

export interface KafkaNodeOptions {
  /** For messages. */
  readonly name: string;
  readonly nodeId: number;
  /** The same for all nodes of a cluster; a new one unless told. */
  readonly clusterId?: string;
  /** Absolute folder for its data, configuration and log. */
  readonly folder: string;
  readonly pidFile: string;
  /** For clients; undefined for a controller that is no broker. */
  readonly clientPort: number | undefined;
  readonly links: readonly KafkaLink[];
  /** Port of each controller, by node id; asked at each start. */
  readonly controllers: () => Promise<ReadonlyMap<number, number>>;
  /** What the heap has from the start; START_HEAP_MB unless told. */
  readonly startHeapMb?: number | undefined;
  readonly maxHeapMb: number;
  /** What comes before each of its command lines, so that it runs where its disk is mounted. */
  readonly commandPrefix?: readonly string[] | undefined;
  /** Lines of server.properties that win over ours; listeners come on top of ours. */
  readonly config: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
  readonly onProgress: (text: string) => void;
}

type Own = "name" | "nodeId" | "clusterId" | "clientPort" | "controllers" | "maxHeapMb";
export type KafkaOptions = Omit<KafkaNodeOptions, Own> & { readonly port: number };

/** Starts a broker that is its own controller, and waits until it answers. */
export async function startKafka(kafka: Kafka, options: KafkaOptions): Promise<Service> {
  const { port, config, ...rest } = options;
  const nodeId = 1;
  return await startKafkaNode(kafka, {
    ...rest,
    name: "Kafka",
    nodeId,
    clientPort: port,
    // The controller is asked by nobody but its own process; its port may change with each start.
    controllers: async () => new Map([[nodeId, await freePort()]]),
    maxHeapMb: Math.max(MAX_HEAP_MB, options.startHeapMb ?? 0),
    config: { ...ONE_REPLICA, ...config },
  });
}

/** Starts a node and waits until it answers, as a broker or else as a controller. */
export async function startKafkaNode(kafka: Kafka, options: KafkaNodeOptions): Promise<Service> {
  const { name, nodeId, folder, clientPort, links, config, signal, onProgress } = options;
  await Deno.mkdir(folder, { recursive: true });
  const data = pathFor(options, "data");
  const logPath = join(folder, "kafka.log");
  const node = async (): Promise<KafkaNode> => {
    return { id: nodeId, clientPort, links, controllers: await options.controllers(), data, config };
  };
  if (!await exists(join(folder, "data"))) {
    onProgress(`${name}: formatting its storage (once)`);
    await format(kafka, await node(), options);
  }
  const port = clientPort ?? (await options.controllers()).get(nodeId) ?? 0;
  onProgress(`${name}: starting on port ${port}`);
  const spawn = async () => {
    const properties = join(folder, "server.properties");
    await Deno.writeTextFile(properties, serverProperties(await node()));
    const archive = await classArchive(kafka);
    const child = new Child({
      command: kafka.java,
      args: [...javaOptions(kafka, options), ...archive.options, "kafka.Kafka", properties],
      env: JAVA_ENV,
      cwd: folder,
      commandPrefix: options.commandPrefix,
      pidFile: options.pidFile,
      stopSignal: "SIGTERM",
      onLine: () => {},
    });
    child.exited.then(archive.keep);
    return child;
  };
  return await startService({
    name,
    port,
    logPath,
    spawn,
    answers: () => clientPort === undefined ? isPortTaken(port) : serves(clientPort, nodeId),
    stop: (child) => child.stop(STOP_DEADLINE_MS),
  }, { signal });
}

/**
 * A name in the node's folder. Relative to it, since Kafka and Log4j take commas, `%` and `$` in a path for something else.
 * A disk of its own is another place for the whole process: what runs there begins in its root folder.
 */
function pathFor(
  { folder, commandPrefix }: Pick<KafkaNodeOptions, "folder" | "commandPrefix">,
  name: string,
): string {
  return commandPrefix === undefined ? name : join(folder, name);
}

function javaOptions(
  kafka: Kafka,
  options: Pick<KafkaNodeOptions, "folder" | "commandPrefix" | "startHeapMb" | "maxHeapMb">,
) {
  const { startHeapMb = START_HEAP_MB, maxHeapMb } = options;
  return [
    `-Xms${startHeapMb}m`,
    `-Xmx${maxHeapMb}m`,
    // One small heap: the collector that starts fastest and takes no thread of its own.
    "-XX:+UseSerialGC",
    "-Djava.awt.headless=true",
    "-Djava.net.preferIPv4Stack=true",
    `-Dlog4j2.configurationFile=${LOG_CONFIGURATION}`,
    `-Dheartbeat.kafka.log=${pathFor(options, "kafka.log")}`,
    "-cp",
    join(kafka.jars, "*"),
  ];
}

/**
 * The JVM's archive of the classes it loaded, which halves the time to start. The first broker of a clone writes it
 * when it stops; it fits one version of Java and one set of jars only.
 */
let archiveUnderWay = false;

async function classArchive(kafka: Kafka): Promise<{ options: string[]; keep: () => Promise<void> }> {
  const path = archivePath(kafka);
  if (await exists(path)) return { options: useArchive(path), keep: () => Promise.resolve() };
  // Writing it takes a node seconds of its stop: one of a cluster is enough.
  if (archiveUnderWay) return { options: [], keep: () => Promise.resolve() };
  archiveUnderWay = true;
  const unfinished = `${path}.unfinished-${Deno.pid}`;
  return {
    options: [...QUIET, `-XX:ArchiveClassesAtExit=${unfinished}`],
    // Absent after a crash; then the next stop writes it.
    keep: () => Deno.rename(unfinished, path).catch(() => {}).finally(() => archiveUnderWay = false),
  };
}

function archivePath(kafka: Kafka): string {
  return join(STACK_FOLDER, `${basename(kafka.jars)}-java-${kafka.javaVersion}.jsa`);
}

function useArchive(path: string): string[] {
  return [...QUIET, `-XX:SharedArchiveFile=${path}`];
}

async function format(
  kafka: Kafka,
  node: KafkaNode,
  options: KafkaNodeOptions,
): Promise<void> {
  const { folder, commandPrefix = [], clusterId: cluster = newClusterId() } = options;
  const data = join(folder, "data");
  const unfinished = `${data}.unfinished`;
  await removeFolder(unfinished);
  const properties = join(folder, "format.properties");
  // The ports are not kept in what is formatted.
  await Deno.writeTextFile(properties, serverProperties({ ...node, data: `${node.data}.unfinished` }));
  const [program = kafka.java, ...before] = [...commandPrefix, kafka.java];
  const { success, stderr, stdout } = await new Deno.Command(program, {
    args: [
      ...before,
      "-XX:TieredStopAtLevel=1",
      ...javaOptions(kafka, { folder, commandPrefix: options.commandPrefix, maxHeapMb: FORMAT_HEAP_MB }),
      ...await exists(archivePath(kafka)) ? useArchive(archivePath(kafka)) : [],
      "kafka.tools.StorageTool",
      "format",
      "--config",
      properties,
      "--cluster-id",
      cluster,
    ],
    env: JAVA_ENV,
    cwd: folder,
    stdin: "null",
  }).output();
  if (!success) {
    const said = new TextDecoder().decode(stderr) + new TextDecoder().decode(stdout);
    throw new PipelineError("stack_failed", `Cannot format Kafka's storage in ${data}: ${said.trim()}`);
  }
  await Deno.remove(properties);
  // Absent when `log.dirs` names another disk; then it only tells that this was done.
  await Deno.mkdir(unfinished, { recursive: true });
  await Deno.rename(unfinished, data);
}

/** Kafka does not take an id that begins with a hyphen; without its first bit none does. */
export function newClusterId(): string {
  const id = randomBytes(16);
  id.writeUInt8(id.readUInt8() & 0x7f);
  return id.toString("base64url");
}

/** Its port opens before the controller lets it serve; from then on it is in its own metadata. */
async function serves(port: number, nodeId: number): Promise<boolean> {
  try {
    (await Deno.connect({ hostname: HOST, port })).close();
  } catch {
    return false;
  }
  const admin = new Admin({
    clientId: "heartbeat-stack",
    bootstrapBrokers: [{ host: HOST, port }],
    retries: 0,
    connectTimeout: 2_000,
    requestTimeout: 2_000,
  });
  try {
    return (await admin.metadata({ topics: [], forceUpdate: true })).brokers.has(nodeId);
  } catch {
    return false;
  } finally {
    await admin.close().catch(() => {});
  }
}
