/**
 * Starts three Kafka brokers and a controller on this machine, for faults that need several brokers: a failover of a
 * leader, missing replicas, a truncated log.
 *
 * The controller is a separate process. If the brokers were controllers too, the death of two would also end the
 * quorum, and no leader could be elected for the third.
 *
 * @example
 * await using cluster = await startCluster({ home: await Deno.makeTempDir() });
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
  readonly home: string;
  readonly config?: Readonly<Record<string, string>>;
  readonly onProgress?: (text: string) => void;
  readonly signal?: AbortSignal;
}

export interface Cluster extends AsyncDisposable {
  readonly bootstrapServers: string;
  /**
   * Returns a node by its id.
   * @throws TypeError if there is no such node
   */
  readonly broker: (id: number) => Service;
  readonly brokers: readonly Service[];
  readonly controller: Service;
  readonly destroy: () => Promise<void>;
}

const BROKERS = [1, 2, 3];
const CONTROLLER = 100;
/** Small, because four JVMs run beside the tests. */
const BROKER_HEAP_MB = 256;
const CONTROLLER_HEAP_MB = 128;

/**
 * Ends what a killed run left behind in the data folder, starts all nodes and waits until they answer.
 *
 * @throws PipelineError if a program is missing, the folder is in use or a node does not start
 */
export async function startCluster(options: ClusterOptions): Promise<Cluster> {
  const onProgress = options.onProgress ?? (() => {});
  await using opened = new AsyncDisposableStack();
  const home = opened.use(await takeHome(options.home));
  await home.endOrphans();
  const nodes = new Map<number, Service>();
  opened.defer(async () => {
    // The controller stops last, because a broker that stops needs it to hand over its partitions.
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
  ].map((start) => start.catch((error) => failed.abort(error))));
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

/** A cluster refuses a node whose storage was formatted with another id. */
async function rememberedId(path: string): Promise<string> {
  const known = await Deno.readTextFile(path).catch(() => undefined);
  if (known !== undefined) return known;
  const id = newClusterId();
  await Deno.writeTextFile(path, id);
  return id;
}

async function freePorts(count: number): Promise<number[]> {
  const ports = new Set<number>();
  while (ports.size < count) ports.add(await freePort());
  return [...ports];
}
