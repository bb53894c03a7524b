/** Folder `load`: sends records that are computed from their index, and remembers which ones the broker acknowledged. */
import { Buffer } from "node:buffer";
import { Producer } from "@platformatic/kafka";
import { backoffMs, sleep } from "../../workers/_shared/backoff.ts";
import { describeError } from "../../workers/_shared/errors.ts";
import type { Compression } from "../../workers/_shared/kafka/batch_writer.ts";
import type { KafkaConnection } from "../../workers/_shared/kafka/client.ts";
import { settlesWithin } from "../../stack/process/wait.ts";
import { BLOCK, Records } from "./records.ts";
import { type Send, Sends } from "./sends.ts";

/** Size of the largest send, which follows an outage. It is far below a broker's default limit of 1 MB for each batch. */
const BLOCKS_AT_ONCE = 50;
/** The interval between two sends limits the precision of recovery times. More sends would only use CPU. */
const SENDS_PER_SECOND = 5;
const CODECS: readonly Compression[] = ["gzip", "none", "gzip", "gzip"];
/** Without a deadline, the client could wait for ever for a response that a half-open link dropped. */
const SEND_DEADLINE_MS = 15_000;
/** A producer whose broker does not answer is abandoned after this time. */
const CLOSE_DEADLINE_MS = 1_000;

export interface LoadOptions {
  readonly connection: KafkaConnection;
  readonly records: Records;
  /** Records per second. */
  readonly rate: number;
  readonly onFailure: (text: string) => void;
  /** The sends use these codecs one after another; default: gzip for three of four sends. */
  readonly codecs?: readonly Compression[];
}

export class Load implements AsyncDisposable {
  readonly sends: Sends;
  /** Records with a lower index can be in the log, also unacknowledged ones. */
  attempted = 0;
  /** Number of sends without an acknowledgement. Their records can be in the log more than once. */
  failures = 0;
  readonly #options: LoadOptions;
  #producer: Producer | undefined;
  #acknowledged = Promise.withResolvers<void>();
  readonly #finished = Promise.withResolvers<void>();

  constructor(options: LoadOptions) {
    this.#options = options;
    this.sends = new Sends(options.records.partitions);
  }

  /** Resolves at the next acknowledgement. */
  get acknowledgement(): Promise<void> {
    return this.#acknowledged.promise;
  }

  /** Resolves when `run` ends. */
  get finished(): Promise<void> {
    return this.#finished.promise;
  }

  /** `signal` ends the load after the send in flight is acknowledged, `abandon` ends it at once. */
  async run(signals: { signal: AbortSignal; abandon: AbortSignal }): Promise<void> {
    try {
      await this.#run(signals);
    } finally {
      this.#finished.resolve();
    }
  }

  async #run({ signal, abandon }: { signal: AbortSignal; abandon: AbortSignal }): Promise<void> {
    const { rate } = this.#options;
    const startedAt = performance.now();
    const least = Math.max(1, Math.min(BLOCKS_AT_ONCE, Math.floor(rate / SENDS_PER_SECOND / BLOCK))) * BLOCK;
    for (let failures = 0; !signal.aborted || this.attempted > this.sends.acknowledged;) {
      if (abandon.aborted) return;
      const from = this.sends.acknowledged;
      const due = Math.floor((performance.now() - startedAt) / 1000 * rate) - from;
      // After a failure the same records are sent again, so the acknowledged indexes never have a hole.
      const again = this.attempted - from;
      const count = again > 0 ? again : Math.min(BLOCKS_AT_ONCE, Math.floor(due / BLOCK)) * BLOCK;
      if (again <= 0 && due < least) {
        await sleep(Math.max(5, (least - due) / rate * 1000), { signal });
        continue;
      }
      this.attempted = from + count;
      try {
        this.sends.add(await withDeadline(this.#send(from, count), abandon));
        failures = 0;
        const { resolve } = this.#acknowledged;
        this.#acknowledged = Promise.withResolvers<void>();
        resolve();
      } catch (error) {
        this.failures++;
        this.#options.onFailure(describeError(error));
        await this.#closeProducer();
        await sleep(Math.min(1_000, backoffMs(++failures)), { signal: abandon });
      }
    }
  }

  async #send(from: number, count: number): Promise<Send> {
    const { connection, records, codecs = CODECS } = this.#options;
    const { partitions } = records;
    const messages: { topic: string; partition: number; key?: Buffer; value?: Buffer }[] = [];
    const counts = new Array<number>(partitions).fill(0);
    for (let position = from; position < from + count; position++) {
      const { partition, key, value } = records.record(Records.indexAt(position));
      counts[partition] = (counts[partition] ?? 0) + 1;
      messages.push({
        topic: connection.topic,
        partition,
        ...(key === null ? {} : { key }),
        ...(value === null ? {} : { value }),
      });
    }
    const compression = codecs[from / BLOCK % codecs.length] ?? "none";
    const { offsets = [] } = await this.#open().send({ messages, acks: -1, compression });
    const baseOffsets = counts.map((recordCount, partition) => {
      if (recordCount === 0) return undefined;
      const base = offsets.find((result) => result.partition === partition)?.offset;
      if (base === undefined) throw new Error(`the broker returned no offset for partition ${partition}`);
      return Number(base);
    });
    return { from, count, baseOffsets, counts };
  }

  #open(): Producer {
    return this.#producer ??= new Producer({
      ...this.#options.connection.options,
      idempotent: true,
      // `#run` repeats a failed send with a new producer, whose sequence numbers start again.
      retries: 0,
    });
  }

  async #closeProducer(): Promise<void> {
    const producer = this.#producer;
    this.#producer = undefined;
    if (producer !== undefined) await settlesWithin(producer.close(true), CLOSE_DEADLINE_MS);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#closeProducer();
  }
}

function withDeadline(send: Promise<Send>, abandon: AbortSignal): Promise<Send> {
  const { promise, resolve, reject } = Promise.withResolvers<Send>();
  const timer = setTimeout(
    () => reject(new Error(`no response within ${SEND_DEADLINE_MS / 1000} s`)),
    SEND_DEADLINE_MS,
  );
  const giveUp = () => reject(new Error("the send was abandoned"));
  abandon.addEventListener("abort", giveUp, { once: true });
  send.then(resolve, reject);
  return promise.finally(() => {
    clearTimeout(timer);
    abandon.removeEventListener("abort", giveUp);
  });
}
