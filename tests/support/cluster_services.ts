import { join } from "node:path";
import { type Cluster, startCluster } from "../../stack/cluster.ts";
import { removeFolder } from "../../stack/process/clone.ts";
import { type Stack, startStack } from "../../stack/mod.ts";
import type { Service } from "../../stack/process/service.ts";
import { eventually } from "../../lab/eventually.ts";
import type { Place, PlaceOptions } from "../../lab/place.ts";
import { SharedServers } from "./services.ts";

const shared = new SharedServers(start);

interface ClusterStack extends Stack {
  readonly cluster: Cluster;
}

async function start(home: string): Promise<ClusterStack> {
  await using opened = new AsyncDisposableStack();
  const [cluster, postgres] = await Promise.all([
    startCluster({ home: join(home, "kafka") }).then((one) => opened.use(one)),
    startStack({ home: join(home, "postgres"), services: ["postgres"] }).then((one) => opened.use(one)),
  ]);
  opened.move();
  const { pidFile, databaseUrl, superuserUrl, postgresFolder } = postgres;
  return {
    home,
    pidFile,
    cluster,
    kafkaBootstrapServers: cluster.bootstrapServers,
    // Tests stop and start the brokers of `cluster`.
    get kafka(): Service {
      throw new TypeError("a cluster has several brokers: use one of `cluster`");
    },
    kafkaLinkPorts: [],
    databaseUrl,
    superuserUrl,
    postgres: postgres.postgres,
    postgresFolder,
    destroy: async () => {
      await Promise.all([cluster.destroy(), postgres.destroy()]);
      await removeFolder(home);
    },
    [Symbol.asyncDispose]: async () => {
      await Promise.all([cluster[Symbol.asyncDispose](), postgres[Symbol.asyncDispose]()]);
    },
  };
}

/**
 * Returns the body of a test that has its own topic and database on a Kafka cluster. All nodes run when the test begins,
 * and are started again when it ends.
 */
export function onCluster(
  options: PlaceOptions,
  body: (place: Place, cluster: Cluster) => Promise<void>,
): (t: Deno.TestContext) => Promise<void> {
  return async (t) => {
    const { cluster } = await shared.started();
    const withCluster = shared.onPlace(options, async (place) => {
      if (options.partitions !== 0) await waitUntilInSync(place, options.replicas ?? 1);
      await body(place, cluster);
    });
    try {
      await withCluster(t);
    } finally {
      for (const node of [cluster.controller, ...cluster.brokers]) {
        await node.thaw();
        await node.start();
      }
    }
  };
}

export interface PartitionState {
  readonly leader: number;
  readonly isr: readonly number[];
}

/** Asks the brokers for the leader and the in-sync replicas of each partition. */
export async function partitionStates({ admin, topic }: Place): Promise<PartitionState[]> {
  const { topics } = await admin.metadata({ topics: [topic], forceUpdate: true });
  return topics.get(topic)?.partitions ?? [];
}

export async function waitUntilInSync(place: Place, replicas: number): Promise<void> {
  let seen: unknown;
  await eventually(`${replicas} in-sync replicas of each partition`, async () => {
    const states = await partitionStates(place);
    seen = states.map(({ leader, isr }) => ({ leader, isr }));
    return states.length > 0 && states.every(({ leader, isr }) => leader > 0 && isr.length === replicas);
  }, { withinMs: 120_000, seen: () => seen });
}
