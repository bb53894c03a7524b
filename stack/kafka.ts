/** One Kafka node (KRaft, broker and controller in one process) that keeps its data between starts. */
import { randomBytes } from "node:crypto";
import { basename, join } from "node:path";
import { Admin } from "@platformatic/kafka";
import { PipelineError } from "../workers/_shared/errors.ts";
import { Child } from "./child.ts";
import { CLONE, exists, removeFolder, STACK_FOLDER } from "./clone.ts";
import type { Kafka } from "./kafka_jars.ts";
import { freePort, HOST } from "./ports.ts";
import { type Service, startService } from "./service.ts";

const LOG_CONFIGURATION = join(CLONE, "stack", "kafka", "log4j2.xml");
/** The first stop of a clone also writes the class archive, which takes two of these seconds. */
const STOP_DEADLINE_MS = 6_000;

/**
 * A second way to the broker, through a proxy. Who comes by it is told to come back by it: a client asks the first
 * address only where the brokers are, and would go past a proxy that stands before that address alone.
 */
export interface KafkaLink {
  /** Where the broker listens, for the proxy to connect to. */
  readonly port: number;
  /** Where the proxy listens, for clients to connect to. */
  readonly proxyPort: number;
}

export interface KafkaOptions {
  /** Absolute folder for its data, configuration and log. */
  readonly folder: string;
  readonly pidFile: string;
  readonly port: number;
  readonly links: readonly KafkaLink[];
  /** Lines of server.properties that win over ours. */
  readonly config: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
  readonly onProgress: (text: string) => void;
}

/** Starts the broker and waits until it answers. */
export async function startKafka(kafka: Kafka, options: KafkaOptions): Promise<Service> {
  const { folder, pidFile, port, links, signal, onProgress } = options;
  await Deno.mkdir(folder, { recursive: true });
  const data = join(folder, "data");
  const logPath = join(folder, "kafka.log");
  if (!await exists(data)) {
    onProgress("Kafka: formatting its storage (once)");
    await format(kafka, folder, data, options.config);
  }
  onProgress(`Kafka: starting on port ${port}`);
  const spawn = async () => {
    const properties = join(folder, "server.properties");
    // The controller is asked by nobody but its own process; its port may change with each start.
    await Deno.writeTextFile(
      properties,
      serverProperties({ port, links, controllerPort: await freePort(), data, config: options.config }),
    );
    const archive = await classArchive(kafka);
    const child = new Child({
      command: kafka.java,
      args: [...javaOptions(kafka, logPath), ...archive.options, "kafka.Kafka", properties],
      pidFile,
      stopSignal: "SIGTERM",
      onLine: () => {},
    });
    child.exited.then(archive.keep);
    return child;
  };
  return await startService({
    name: "Kafka",
    port,
    logPath,
    spawn,
    answers: () => answers(port),
    stop: (child) => child.stop(STOP_DEADLINE_MS),
  }, { signal });
}

function javaOptions(kafka: Kafka, logPath: string): string[] {
  return [
    "-Xms128m",
    "-Xmx512m",
    // One small heap: the collector that starts fastest and takes no thread of its own.
    "-XX:+UseSerialGC",
    "-Djava.awt.headless=true",
    "-Djava.net.preferIPv4Stack=true",
    `-Dlog4j2.configurationFile=${LOG_CONFIGURATION}`,
    `-Dheartbeat.kafka.log=${logPath}`,
    "-cp",
    join(kafka.jars, "*"),
  ];
}

/**
 * The JVM's archive of the classes it loaded, which halves the time to start. The first broker of a clone writes it
 * when it stops; it fits one version of Java and one set of jars only.
 */
async function classArchive(kafka: Kafka): Promise<{ options: string[]; keep: () => Promise<void> }> {
  const path = join(STACK_FOLDER, `${basename(kafka.jars)}-java-${kafka.javaVersion}.jsa`);
  const quiet = ["-Xlog:disable", "-Xlog:all=error:stderr"];
  if (await exists(path)) {
    return { options: [...quiet, `-XX:SharedArchiveFile=${path}`], keep: () => Promise.resolve() };
  }
  const unfinished = `${path}.unfinished-${Deno.pid}`;
  return {
    options: [...quiet, `-XX:ArchiveClassesAtExit=${unfinished}`],
    // Absent after a crash; then the next stop writes it.
    keep: () => Deno.rename(unfinished, path).catch(() => {}),
  };
}

async function format(
  kafka: Kafka,
  folder: string,
  data: string,
  config: Readonly<Record<string, string>>,
): Promise<void> {
  const unfinished = `${data}.unfinished`;
  await removeFolder(unfinished);
  const properties = join(folder, "format.properties");
  // The ports are not kept in what is formatted.
  await Deno.writeTextFile(
    properties,
    serverProperties({ port: 1, controllerPort: 2, data: unfinished, config }),
  );
  const { success, stderr, stdout } = await new Deno.Command(kafka.java, {
    args: [
      "-XX:TieredStopAtLevel=1",
      ...javaOptions(kafka, join(folder, "kafka.log")),
      "kafka.tools.StorageTool",
      "format",
      "--config",
      properties,
      "--cluster-id",
      clusterId(),
    ],
    stdin: "null",
  }).output();
  if (!success) {
    const said = new TextDecoder().decode(stderr) + new TextDecoder().decode(stdout);
    throw new PipelineError("stack_failed", `Cannot format Kafka's storage in ${data}: ${said.trim()}`);
  }
  await Deno.remove(properties);
  await Deno.rename(unfinished, data);
}

/** Kafka does not take an id that begins with a hyphen; without its first bit none does. */
function clusterId(): string {
  const id = randomBytes(16);
  id.writeUInt8(id.readUInt8() & 0x7f);
  return id.toString("base64url");
}

function serverProperties(
  { port, links = [], controllerPort, data, config }: {
    port: number;
    links?: readonly KafkaLink[];
    controllerPort: number;
    data: string;
    config: Readonly<Record<string, string>>;
  },
): string {
  const named = (of: (link: KafkaLink) => number) =>
    Object.fromEntries(links.map((link, index) => [`LINK${index}`, of(link)]));
  const listeners = { PLAINTEXT: port, ...named((link) => link.port), CONTROLLER: controllerPort };
  const advertised = { PLAINTEXT: port, ...named((link) => link.proxyPort) };
  const properties: Record<string, string> = {
    "process.roles": "broker,controller",
    "node.id": "1",
    // Named here and not in the formatted storage, so that the controller may move to another port.
    "controller.quorum.voters": `1@${HOST}:${controllerPort}`,
    "controller.listener.names": "CONTROLLER",
    "listeners": addresses(listeners),
    "advertised.listeners": addresses(advertised),
    "listener.security.protocol.map": Object.keys(listeners).map((name) => `${name}:PLAINTEXT`).join(","),
    "log.dirs": data,
    // A typing error in a topic's name must not make a topic.
    "auto.create.topics.enable": "false",
    // After a kill the controller takes the new broker only when the old one's session is over; 9 s unless told.
    "broker.session.timeout.ms": "3000",
    "broker.heartbeat.interval.ms": "500",
    "group.initial.rebalance.delay.ms": "0",
    "default.replication.factor": "1",
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "1",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "1",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "share.coordinator.state.topic.num.partitions": "1",
    ...config,
  };
  // Backslashes of Windows paths are escapes in this format.
  return Object.entries(properties).map(([name, value]) => `${name}=${value.replaceAll("\\", "/")}\n`).join(
    "",
  );
}

/** @param ports of each listener, by its name */
function addresses(ports: Readonly<Record<string, number>>): string {
  return Object.entries(ports).map(([name, port]) => `${name}://${HOST}:${port}`).join(",");
}

/** Its port opens before the controller lets it serve; from then on it is in its own metadata. */
async function answers(port: number): Promise<boolean> {
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
    return (await admin.metadata({ topics: [], forceUpdate: true })).brokers.size > 0;
  } catch {
    return false;
  } finally {
    await admin.close().catch(() => {});
  }
}
