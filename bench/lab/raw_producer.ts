/** Sends record batches that are bytes already: the client's own request would encode each record anew. */
import type { Buffer } from "node:buffer";
import { ConnectionPool, createAPI, produceV11, Writer } from "@platformatic/kafka";
import { sleep } from "../../workers/_shared/backoff.ts";

const PRODUCE = 0;
const REQUEST_TIMEOUT_MS = 30_000;
const TRIES = 20;
const BETWEEN_TRIES_MS = 250;

type Batches = readonly (readonly [partition: number, batch: Buffer])[];

const produce = createAPI<[topic: string, batches: Batches], produceV11.ProduceResponse>(
  PRODUCE,
  produceV11.api.version,
  (topic: string, batches: Batches) =>
    Writer.create()
      .appendString(null)
      .appendInt16(-1) // all replicas
      .appendInt32(REQUEST_TIMEOUT_MS)
      .appendArray([topic], (writer, name) => {
        writer.appendString(name).appendArray([...batches], (part, [partition, batch]) => {
          part.appendInt32(partition).appendUnsignedVarInt(batch.length + 1).append(batch);
        });
      })
      .appendTaggedFields(),
  produceV11.parseResponse,
);

/** For a topic on one broker. */
export class RawProducer implements AsyncDisposable {
  readonly #topic: string;
  readonly #broker: { readonly host: string; readonly port: number };
  readonly #connections = new ConnectionPool("heartbeat-bench", { requestTimeout: REQUEST_TIMEOUT_MS });

  constructor(bootstrapServers: string, topic: string) {
    const [host = "", port] = bootstrapServers.split(":");
    this.#broker = { host, port: Number(port) };
    this.#topic = topic;
  }

  /**
   * One request. Resolves when the broker has all of it.
   *
   * @throws the client's errors; then some of it may be in the log
   */
  async send(batches: Batches): Promise<void> {
    const connection = await this.#connections.get(this.#broker);
    await produce.async(connection, this.#topic, batches);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#connections.close().catch(() => {});
  }
}

/** A broker whose topic was just made may turn the first requests away; what it took twice would be counted as a fault. */
export async function insist(send: () => Promise<void>): Promise<void> {
  for (let attempt = 1;; attempt++) {
    try {
      return await send();
    } catch (error) {
      if (attempt === TRIES) throw error;
      await sleep(BETWEEN_TRIES_MS, { signal: AbortSignal.timeout(BETWEEN_TRIES_MS * 2) });
    }
  }
}
