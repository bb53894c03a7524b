/**
 * Folder `kafka`: runs Kafka nodes as child processes, with their jars, configuration and listeners. It talks to a broker
 * only to check whether the broker answers.
 *
 * Starts a Kafka node in KRaft mode, alone or as a member of a cluster. The node keeps its data between starts.
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

/** Log4j treats a comma as a separator between several configuration files. */
const LOG_CONFIGURATION = pathToFileURL(join(CLONE, "stack", "kafka", "log4j2.xml")).href.replaceAll(
  ",",
  "%2C",
);
/** The locale decides how Java encodes file names, and the locale C knows only ASCII. */
const JAVA_ENV = { LC_ALL: "C.UTF-8" };
/** The first stop of a clone also writes the class archive, which takes about two seconds. */
const STOP_DEADLINE_MS = 6_000;
const FORMAT_HEAP_MB = 256;
const START_HEAP_MB = 64;
const MAX_HEAP_MB = 512;
/** Without these flags, Java warns about each class that the archive lacks. */
const QUIET = ["-Xlog:disable", "-Xlog:all=error:stderr"];

export interface KafkaNodeOptions {
  readonly name: string;
  readonly nodeId: number;
  /** All nodes of a cluster have the same id. Default: a new id. */
  readonly clusterId?: string;
  /** Absolute path of the folder for data, configuration and log. */
  readonly folder: string;
  readonly pidFile: string;
  /** Undefined for a node that is only a controller. */
  readonly clientPort: number | undefined;
  readonly links: readonly KafkaLink[];
  /** Ports by node id. */
  readonly controllers: () => Promise<ReadonlyMap<number, number>>;
  readonly startHeapMb?: number | undefined;
  readonly maxHeapMb: number;
  /** Comes before each command of the node, so that the command runs where the disk is mounted. */
  readonly commandPrefix?: readonly string[] | undefined;
  /** Replaces defaults of server.properties. Listeners are added to the default ones. */
  readonly config: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
  readonly onProgress: (text: string) => void;
}

type Own = "name" | "nodeId" | "clusterId" | "clientPort" | "controllers" | "maxHeapMb";
export type KafkaOptions = Omit<KafkaNodeOptions, Own> & { readonly port: number };

/** Starts a node that is both broker and controller, and waits until it answers. */
export async function startKafka(kafka: Kafka, options: KafkaOptions): Promise<Service> {
  const { port, config, ...rest } = options;
  const nodeId = 1;
  return await startKafkaNode(kafka, {
    ...rest,
    name: "Kafka",
    nodeId,
    clientPort: port,
    // Only this process uses its controller, so the port may change at each start.
    controllers: async () => new Map([[nodeId, await freePort()]]),
    maxHeapMb: Math.max(MAX_HEAP_MB, options.startHeapMb ?? 0),
    config: { ...ONE_REPLICA, ...config },
  });
}

/** Starts a node and waits until it answers. A node that is only a controller answers when its port is open. */
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
 * The path is relative to the working directory, because Kafka and Log4j interpret commas, `%` and `$` in a path. With a
 * command prefix, the process starts in the root folder of its mount namespace, so the path must be absolute.
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
    // For a small heap, this collector starts fastest and needs no extra threads.
    "-XX:+UseSerialGC",
    "-Djava.awt.headless=true",
    "-Djava.net.preferIPv4Stack=true",
    `-Dlog4j2.configurationFile=${LOG_CONFIGURATION}`,
    `-Dheartbeat.kafka.log=${pathFor(options, "kafka.log")}`,
    "-cp",
    join(kafka.jars, "*"),
  ];
}

let archiveUnderWay = false;

/**
 * The JVM's archive of loaded classes halves the start time. The first broker of a clone writes it when it stops. It
 * is valid for one version of Java and one set of jars.
 */
async function classArchive(kafka: Kafka): Promise<{ options: string[]; keep: () => Promise<void> }> {
  const path = archivePath(kafka);
  if (await exists(path)) return { options: useArchive(path), keep: () => Promise.resolve() };
  // Writing the archive delays the stop by seconds, so only one node of a cluster does it.
  if (archiveUnderWay) return { options: [], keep: () => Promise.resolve() };
  archiveUnderWay = true;
  const unfinished = `${path}.unfinished-${Deno.pid}`;
  return {
    options: [...QUIET, `-XX:ArchiveClassesAtExit=${unfinished}`],
    // The file is missing if Java crashed. Then the next stop writes it.
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
  const { folder, commandPrefix = [], clusterId = newClusterId() } = options;
  const data = join(folder, "data");
  const unfinished = `${data}.unfinished`;
  await removeFolder(unfinished);
  const properties = join(folder, "format.properties");
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
      clusterId,
    ],
    env: JAVA_ENV,
    cwd: folder,
    stdin: "null",
  }).output();
  if (!success) {
    const output = new TextDecoder().decode(stderr) + new TextDecoder().decode(stdout);
    throw new PipelineError("stack_failed", `Cannot format Kafka's storage in ${data}: ${output.trim()}`);
  }
  await Deno.remove(properties);
  // The folder is missing if `log.dirs` names another disk. Then `data` only marks that the formatting is done.
  await Deno.mkdir(unfinished, { recursive: true });
  await Deno.rename(unfinished, data);
}

/** Kafka refuses an id that begins with a hyphen. If the first bit is 0, base64url does not begin with one. */
export function newClusterId(): string {
  const id = randomBytes(16);
  id.writeUInt8(id.readUInt8() & 0x7f);
  return id.toString("base64url");
}

/** The port opens before the controller admits the broker. An admitted broker appears in its own metadata. */
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
