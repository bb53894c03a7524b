import { Buffer } from "node:buffer";
import { Producer } from "@platformatic/kafka";
import type { Compression } from "../workers/_shared/kafka/batch_writer.ts";
import { tolerateLeaderlessPartitions } from "../workers/_shared/kafka/client_patches.ts";

/** A record to publish. An object becomes JSON. Bytes and null are sent unchanged. */
export interface Outgoing {
  readonly value: Uint8Array | null | string | Readonly<Record<string, unknown>>;
  /** null means no key. Default: the value's customer_id. */
  readonly key?: string | Uint8Array | null;
  /** Default: 0. */
  readonly partition?: number;
  readonly headers?: ReadonlyMap<Buffer, Buffer>;
  /** Milliseconds since the Unix epoch. Default: now. */
  readonly timestampMs?: bigint;
}

/** A record that a broker acknowledged. */
export interface Sent<T extends Outgoing = Outgoing> {
  /** `partition:offset` */
  readonly id: string;
  readonly partition: number;
  readonly offset: number;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly record: T;
}

type Message = {
  topic: string;
  partition: number;
  key?: Buffer;
  value?: Buffer;
  headers?: Map<Buffer, Buffer>;
  timestamp?: bigint;
};
type Send = (messages: Message[]) => Promise<{ offsets?: readonly { partition: number; offset: bigint }[] }>;

/** A broker accepts a batch of up to 1 MiB (`message.max.bytes`). */
const MAX_REQUEST_RECORDS = 2_000;
const MAX_REQUEST_BYTES = 900_000;

export class Publisher implements AsyncDisposable {
  readonly #servers: string;
  readonly #topic: string;
  readonly #producers = new Map<string, Producer>();

  constructor(servers: string, topic: string) {
    this.#servers = servers;
    this.#topic = topic;
  }

  /**
   * @param inOneRequest sends all records of a partition as one record batch, independent of its size
   * @throws if the broker did not acknowledge; some records may be in the log nevertheless
   */
  async send<T extends Outgoing>(
    records: readonly T[],
    { compression = "none", inOneRequest = false }: { compression?: Compression; inOneRequest?: boolean } =
      {},
  ): Promise<Sent<T>[]> {
    const producer = this.#producer("");
    const send: Send = (messages) => producer.send({ messages, acks: -1, compression });
    return await this.#sendWith(records, send, inOneRequest ? Infinity : MAX_REQUEST_RECORDS);
  }

  async transact<T extends Outgoing>(records: readonly T[], end: "commit" | "abort"): Promise<Sent<T>[]> {
    const { sent, close } = await this.openTransaction(records);
    await close(end);
    return sent;
  }

  /** Leaves the transaction open until `close`. Until then, the last stable offset stays at its first record. */
  async openTransaction<T extends Outgoing>(
    records: readonly T[],
  ): Promise<{ sent: Sent<T>[]; close: (end: "commit" | "abort") => Promise<void> }> {
    const producer = this.#producer(`${this.#topic}-transactions`);
    const transaction = await producer.beginTransaction();
    const sent = await this.#sendWith(records, (messages) => transaction.send({ messages }));
    return { sent, close: (end) => transaction[end]() };
  }

  async #sendWith<T extends Outgoing>(
    records: readonly T[],
    send: Send,
    maxRecords = MAX_REQUEST_RECORDS,
  ): Promise<Sent<T>[]> {
    const sent: Sent<T>[] = [];
    const byPartition = Map.groupBy(records, ({ partition = 0 }) => partition);
    for (const [partition, partitionRecords] of byPartition) {
      for (const request of requests(partitionRecords, maxRecords)) {
        const messages = request.map(({ key, value, record }): Message => ({
          topic: this.#topic,
          partition,
          ...(key === null ? {} : { key }),
          ...(value === null ? {} : { value }),
          ...(record.headers === undefined ? {} : { headers: new Map(record.headers) }),
          ...(record.timestampMs === undefined ? {} : { timestamp: record.timestampMs }),
        }));
        const { offsets } = await send(messages);
        const first = offsets?.find((result) => result.partition === partition)?.offset;
        if (first === undefined) throw new Error(`the broker returned no offset for partition ${partition}`);
        request.forEach((message, index) => {
          const offset = Number(first) + index;
          sent.push({ id: `${partition}:${offset}`, partition, offset, ...message });
        });
      }
    }
    return sent;
  }

  #producer(transactionalId: string): Producer {
    const known = this.#producers.get(transactionalId);
    if (known !== undefined) return known;
    // A partition without a leader must not delay records for the others.
    const producer = tolerateLeaderlessPartitions(
      new Producer({
        clientId: "heartbeat-test",
        bootstrapBrokers: this.#servers.split(","),
        idempotent: true,
        retries: 10,
        ...(transactionalId === "" ? {} : { transactionalId }),
      }),
    );
    this.#producers.set(transactionalId, producer);
    return producer;
  }

  /** Closes the producers. Otherwise they would use old metadata of the topic for minutes. The next record opens new ones. */
  async forget(): Promise<void> {
    const producers = [...this.#producers.values()];
    this.#producers.clear();
    for (const producer of producers) await producer.close(true).catch(() => {});
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.forget();
  }
}

function* requests<T extends Outgoing>(records: readonly T[], maxRecords: number) {
  const maxBytes = maxRecords === Infinity ? Infinity : MAX_REQUEST_BYTES;
  let request: { record: T; key: Buffer | null; value: Buffer | null }[] = [];
  let bytes = 0;
  for (const record of records) {
    const message = { record, key: keyOf(record), value: bytesOf(record.value) };
    const headers = [...record.headers ?? []].flat();
    const size = [message.key, message.value, ...headers].reduce(
      (sum, bytes) => sum + (bytes?.length ?? 0) + 10,
      0,
    );
    if (request.length > 0 && (request.length === maxRecords || bytes + size > maxBytes)) {
      yield request;
      request = [];
      bytes = 0;
    }
    request.push(message);
    bytes += size;
  }
  if (request.length > 0) yield request;
}

function bytesOf(value: Outgoing["value"]): Buffer | null {
  if (value === null) return null;
  if (value instanceof Uint8Array) return Buffer.from(value);
  return Buffer.from(typeof value === "string" ? value : JSON.stringify(value));
}

function keyOf({ key, value }: Outgoing): Buffer | null {
  if (key !== undefined) return bytesOf(key);
  if (value === null || typeof value === "string" || value instanceof Uint8Array) return null;
  return Buffer.from(String(value.customer_id));
}
