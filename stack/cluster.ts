/**
 * A cluster of three Kafka brokers and a controller of its own, on this machine: for what a single broker cannot show,
 * such as a leader that fails over, copies that are missing, and a log that loses its end.
 *
 * The controller is a process beside the brokers, so that two of them can be dead and the third is still told so. Were
 * the brokers controllers too, the two dead ones would take the quorum along and nobody could elect a leader.
 *
 * @example
 * await using cluster = await startCluster({ home: await Deno.makeTempDir() });
 * await cluster.broker(2).kill();
 */
import { join } from "node:path";
import { removeFolder } from "./process/clone.ts";
import { takeHome } from "./home.ts";
import { newClusterId, startKafkaNode } from "./kafka/kafka.ts";
import { installKafka } from "./kafka/kafka_jars.ts";
import { THREE_REPLICAS } from "./kafka/kafka_properties.ts";
import { freePort, HOST } from "./network/ports.ts";
import type { Service } from "./process/service.ts";

export interface ClusterOptions {
  /** Data folder; made when it is missing. One process at a time may use it. */
  readonly home: string;
  /** Lines of every node's server.properties that win over ours. */
  readonly config?: Readonly<Record<string, string>>;
  readonly onProgress?: (text: string) => void;
  readonly signal?: AbortSignal;
}

export interface Cluster extends AsyncDisposable {
  /** All three, so that any may be away. */
  readonly bootstrapServers: string;
  /** By node id, which is what a topic calls its leaders. @throws TypeError when there is none of this id */
  readonly broker: (id: number) => Service;
  readonly brokers: readonly Service[];
  readonly controller: Service;
  /** Stops all and deletes the data folder. */
  readonly destroy: () => Promise<void>;
}

const BROKERS = [1, 2, 3];
const CONTROLLER = 100;
/** Four virtual machines for Java on one machine, beside the tests. */
const BROKER_HEAP_MB = 256;
const CONTROLLER_HEAP_MB = 128;

/**
 * Starts all four and waits until they answer. What an earlier, killed run left running in the same data folder is ended
 * before.
 *
 * @throws PipelineError when a program is missing, the folder is in use or a node does not start
 */
export async function startCluster(options: ClusterOptions): Promise<Cluster> {
  const onProgress = options.onProgress ?? (() => {});
  await using opened = new AsyncDisposableStack();
  const home = opened.use(await takeHome(options.home));
  await home.endOrphans();
  const nodes = new Map<number, Service>();
  opened.defer(async () => {
    // Brokers hand their partitions over when they stop, and need the controller for it.
    await Promise.all(BROKERS.map((id) => nodes.get(id)?.stop()));
    await nodes.get(CONTROLLER)?.stop();
  });
  const failed = new AbortController();
  const signal = AbortSignal.any([failed.signal, ...(options.signal === undefined ? [] : [options.signal])]);
  const kafka = await installKafka({ JAVA_HOME: Deno.env.get("JAVA_HOME") }, { signal, onProgress });
  const shared = {
    clusterId: await rememberedId(join(home.path, "cluster.id")),
    config: { ...THREE_REPLICAS, ...options.config },
    links: [],
    signal,
    onProgress,
  };
  const controllers = new Map([[CONTROLLER, await freePort()]]);
  const start = async (nodeId: number, name: string, clientPort: number | undefined, maxHeapMb: number) => {
    const own = { nodeId, name, clientPort, maxHeapMb, controllers: () => Promise.resolve(controllers) };
    const folder = join(home.path, `node-${nodeId}`);
    const pidFile = home.pidFile(`kafka-${nodeId}`);
    nodes.set(nodeId, await startKafkaNode(kafka, { ...shared, ...own, folder, pidFile }));
  };
  const ports = await freePorts(BROKERS.length);
  await Promise.all([
    start(CONTROLLER, "Kafka's controller", undefined, CONTROLLER_HEAP_MB),
    ...BROKERS.map((id, index) => start(id, `Kafka broker ${id}`, ports[index], BROKER_HEAP_MB)),
  ].map((one) => one.catch((error) => failed.abort(error))));
  signal.throwIfAborted();

  const owned = opened.move();
  const node = (id: number): Service => {
    const found = nodes.get(id);
    if (found === undefined) throw new TypeError(`the cluster has no node ${id}`);
    return found;
  };
  return {
    bootstrapServers: ports.map((port) => `${HOST}:${port}`).join(","),
    broker: node,
    brokers: BROKERS.map(node),
    controller: node(CONTROLLER),
    destroy: async () => {
      await owned.disposeAsync();
      await removeFolder(home.path);
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** A node that is formatted with another id than its cluster's is refused by it. */
async function rememberedId(path: string): Promise<string> {
  const known = await Deno.readTextFile(path).catch(() => undefined);
  if (known !== undefined) return known;
  const id = newClusterId();
  await Deno.writeTextFile(path, id);
  return id;
}

/** Different ones: a port is free until somebody listens there. */
async function freePorts(count: number): Promise<number[]> {
  const ports = new Set<number>();
  while (ports.size < count) ports.add(await freePort());
  return [...ports];
}
