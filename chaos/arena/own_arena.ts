/** Starts a Kafka and a PostgreSQL in a temporary folder, with a network link in front of each client. */
import { join } from "node:path";
import { openLink } from "../../stack/network/link.ts";
import { startStack } from "../../stack/mod.ts";
import { HOST } from "../../stack/network/ports.ts";
import { kafkaConnection } from "../../workers/_shared/kafka/client.ts";
import { createTopic } from "../../workers/_shared/kafka/topic.ts";
import type { Arena } from "./arena.ts";
import { LINK_NAMES } from "../faults/fault.ts";

const TOPIC = "heartbeats";

export interface OwnArenaOptions {
  readonly partitions: number;
  /** Returns a number in [0, 1) for the jitter of the links. */
  readonly random: () => number;
  readonly signal: AbortSignal;
  readonly onProgress: (text: string) => void;
}

/** @throws PipelineError if a server does not start, after it has deleted everything */
export async function openOwnArena(options: OwnArenaOptions): Promise<Arena> {
  const { partitions, random, signal, onProgress } = options;
  await using opened = new AsyncDisposableStack();
  const link = async () => opened.use(await openLink(undefined, random));
  const [toKafka, toPostgres, ofProducer] = [await link(), await link(), await link()];
  const home = await Deno.makeTempDir({ prefix: "heartbeat-chaos-" });
  const stack = await startStack({
    home,
    kafkaLinks: [toKafka.port, ofProducer.port],
    // The judge compares all records, so Kafka must not delete any by age. Small segments keep ten million records out of one
    // file.
    kafkaConfig: { "log.retention.ms": "-1", "log.segment.bytes": String(128 * 1024 * 1024) },
    signal,
    onProgress,
  });
  const keeping = { keep: false };
  opened.defer(() => keeping.keep ? stack[Symbol.asyncDispose]() : stack.destroy());
  const [consumersAt = 0, producerAt = 0] = stack.kafkaLinkPorts;
  toKafka.target = { host: HOST, port: consumersAt };
  ofProducer.target = { host: HOST, port: producerAt };
  toPostgres.target = { host: HOST, port: Number(new URL(stack.databaseUrl).port) };
  const connection = (servers: string) => {
    const env = { KAFKA_BOOTSTRAP_SERVERS: servers, KAFKA_TOPIC: TOPIC };
    return kafkaConnection("chaos", "heartbeat-chaos", env, Deno.readTextFileSync);
  };
  const kafka = connection(stack.kafkaBootstrapServers);
  await createTopic(kafka, partitions);
  const folder = join(stack.home, "chaos");
  await Deno.mkdir(folder, { recursive: true });
  const owned = opened.move();
  return {
    topic: TOPIC,
    kafka,
    databaseUrl: stack.databaseUrl,
    producerKafka: connection(`${HOST}:${ofProducer.port}`),
    consumerEnv: {
      KAFKA_BOOTSTRAP_SERVERS: `${HOST}:${toKafka.port}`,
      KAFKA_SECURITY_PROTOCOL: "PLAINTEXT",
      DATABASE_URL: toPostgres.through(stack.databaseUrl),
    },
    targets: ["consumer", "broker", "database", "rollup", ...LINK_NAMES],
    servers: { broker: stack.kafka, database: stack.postgres },
    links: {
      "link consumer-Kafka": toKafka,
      "link consumer-PostgreSQL": toPostgres,
      "link producer-Kafka": ofProducer,
    },
    folder,
    pidFile: stack.pidFile,
    location: `Kafka, PostgreSQL and logs in ${stack.home}, the rows in ${stack.postgresFolder}`,
    close: async ({ keep }) => {
      keeping.keep = keep;
      await owned.disposeAsync();
    },
  };
}
