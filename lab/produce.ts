/** Publishes given records and says where each one went: its partition and offset are its id. */
import { Buffer } from "node:buffer";
import { Producer } from "@platformatic/kafka";
import type { Compression } from "../workers/_shared/kafka/batch_writer.ts";
import { tolerateLeaderlessPartitions } from "../workers/_shared/kafka/client_patches.ts";

/** A record to publish. An object as value becomes JSON; bytes and null go as they are. */
export interface Outgoing {
  readonly value: Uint8Array | null | string | Readonly<Record<string, unknown>>;
  /** null: keyless. Left out: the customer_id of the value. */
  readonly key?: string | Uint8Array | null;
  /** 0 unless told. */
  readonly partition?: number;
  readonly headers?: ReadonlyMap<Buffer, Buffer>;
  /** Kafka's own, milliseconds since the Unix epoch; now unless told. */
  readonly timestampMs?: bigint;
}

/** A record that the broker acknowledged. */
export interface Sent<T extends Outgoing = Outgoing> {
  /** partition:offset */
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

/** A broker takes a request of one partition up to 1 MiB. */
const RECORDS_A_REQUEST = 2_000;
const BYTES_A_REQUEST = 900_000;

export class Publisher implements AsyncDisposable {
  readonly #servers: string;
  readonly #topic: string;
  readonly #producers = new Map<string, Producer>();

  constructor(servers: string, topic: string) {
    this.#servers = servers;
    this.#topic = topic;
  }

  /**
   * @param inOneRequest the records of a partition as one batch of Kafka's, however long
   * @throws when the broker did not acknowledge; then some may be in the log all the same
   */
  async send<T extends Outgoing>(
    records: readonly T[],
    { compression = "none", inOneRequest = false }: { compression?: Compression; inOneRequest?: boolean } =
      {},
  ): Promise<Sent<T>[]> {
    const producer = this.#producer("");
    const send: Send = (messages) => producer.send({ messages, acks: -1, compression });
    return await this.#sendWith(records, send, inOneRequest ? Infinity : RECORDS_A_REQUEST);
  }

  /** In one transaction, committed or aborted at the end. */
  async transact<T extends Outgoing>(records: readonly T[], end: "commit" | "abort"): Promise<Sent<T>[]> {
    const { sent, close } = await this.openTransaction(records);
    await close(end);
    return sent;
  }

  /** Leaves the transaction open until `close`: nothing behind its first record is committed meanwhile. */
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
    atMost = RECORDS_A_REQUEST,
  ): Promise<Sent<T>[]> {
    const sent: Sent<T>[] = [];
    const byPartition = Map.groupBy(records, ({ partition = 0 }) => partition);
    for (const [partition, ours] of byPartition) {
      for (const part of requests(ours, atMost)) {
        const messages = part.map(({ key, value, record }): Message => ({
          topic: this.#topic,
          partition,
          ...(key === null ? {} : { key }),
          ...(value === null ? {} : { value }),
          ...(record.headers === undefined ? {} : { headers: new Map(record.headers) }),
          ...(record.timestampMs === undefined ? {} : { timestamp: record.timestampMs }),
        }));
        const { offsets } = await send(messages);
        const first = offsets?.find((one) => one.partition === partition)?.offset;
        if (first === undefined) throw new Error(`no offset came back for partition ${partition}`);
        part.forEach((one, index) => {
          const offset = Number(first) + index;
          sent.push({ id: `${partition}:${offset}`, partition, offset, ...one });
        });
      }
    }
    return sent;
  }

  #producer(transactionalId: string): Producer {
    const known = this.#producers.get(transactionalId);
    if (known !== undefined) return known;
    // What a test sends to the other partitions is not kept back by one that has no leader.
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

  /** Begins anew with the next record: the client keeps what it knows of the topic's partitions for minutes. */
  async forget(): Promise<void> {
    const producers = [...this.#producers.values()];
    this.#producers.clear();
    for (const producer of producers) await producer.close(true).catch(() => {});
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.forget();
  }
}

/** @param atMost records in a request; without a limit they may also take as many bytes as they like */
function* requests<T extends Outgoing>(records: readonly T[], atMost: number) {
  const bytesAtMost = atMost === Infinity ? Infinity : BYTES_A_REQUEST;
  let part: { record: T; key: Buffer | null; value: Buffer | null }[] = [];
  let bytes = 0;
  for (const record of records) {
    const one = { record, key: keyOf(record), value: bytesOf(record.value) };
    const headers = [...record.headers ?? []].flat();
    const size = [one.key, one.value, ...headers].reduce((sum, bytes) => sum + (bytes?.length ?? 0) + 10, 0);
    if (part.length > 0 && (part.length === atMost || bytes + size > bytesAtMost)) {
      yield part;
      part = [];
      bytes = 0;
    }
    part.push(one);
    bytes += size;
  }
  if (part.length > 0) yield part;
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
