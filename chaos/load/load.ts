/**
 * Folder `load`: records that are a function of their index, and what the broker acknowledged of them. It never looks into
 * the database.
 */
import { Buffer } from "node:buffer";
import { Producer } from "@platformatic/kafka";
import { backoffMs, sleep } from "../../workers/_shared/backoff.ts";
import { describeError } from "../../workers/_shared/errors.ts";
import type { Compression } from "../../workers/_shared/kafka/batch_writer.ts";
import type { KafkaConnection } from "../../workers/_shared/kafka/client.ts";
import { settlesWithin } from "../../stack/process/wait.ts";
import { BLOCK, Records } from "./records.ts";
import { type Send, Sends } from "./sends.ts";

/** Who is behind catches up in larger sends; far below a megabyte a partition, which is what a broker takes. */
const BLOCKS_AT_ONCE = 50;
/** More only cost time; less would be too coarse to tell how soon after a fault all is well. */
const SENDS_A_SECOND = 5;
const CODECS: readonly Compression[] = ["gzip", "none", "gzip", "gzip"];
/** The client waits for ever for some answers that a silent link swallowed. */
const SEND_DEADLINE_MS = 15_000;
/** A producer whose broker is silent is left behind. */
const CLOSE_DEADLINE_MS = 1_000;

export interface LoadOptions {
  /** By way of the producer's link; the topic is the connection's. */
  readonly connection: KafkaConnection;
  readonly records: Records;
  /** Records per second. */
  readonly rate: number;
  readonly onFailure: (text: string) => void;
  /** By turns; left out, mostly gzip. */
  readonly codecs?: readonly Compression[];
}

export class Load implements AsyncDisposable {
  readonly sends: Sends;
  /** Records with an index below it may be in the log. */
  attempted = 0;
  /** Sends that were not acknowledged, whose records may be in the log once more than they are counted. */
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

  /** Resolves when nothing more is sent. */
  get finished(): Promise<void> {
    return this.#finished.promise;
  }

  /** Sends until the signal aborts, and then ends with the send that is under way. */
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
    const least = Math.max(1, Math.min(BLOCKS_AT_ONCE, Math.floor(rate / SENDS_A_SECOND / BLOCK))) * BLOCK;
    for (let failures = 0; !signal.aborted || this.attempted > this.sends.acknowledged;) {
      if (abandon.aborted) return;
      const from = this.sends.acknowledged;
      const due = Math.floor((performance.now() - startedAt) / 1000 * rate) - from;
      // What may be in the log already is sent again as it was.
      const again = this.attempted - from;
      const count = again > 0 ? again : Math.min(BLOCKS_AT_ONCE, Math.floor(due / BLOCK)) * BLOCK;
      if (again <= 0 && due < least) {
        await sleep(Math.max(5, (least - due) / rate * 1000), { signal });
        continue;
      }
      this.attempted = from + count;
      try {
        this.sends.add(await inTime(this.#send(from, count), abandon));
        failures = 0;
        const { resolve } = this.#acknowledged;
        this.#acknowledged = Promise.withResolvers<void>();
        resolve();
      } catch (error) {
        this.failures++;
        this.#options.onFailure(describeError(error));
        await this.#forget();
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
      const { partition, key, value } = records.record(Records.at(position));
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
    const bases = counts.map((ours, partition) => {
      if (ours === 0) return undefined;
      const base = offsets.find((one) => one.partition === partition)?.offset;
      if (base === undefined) throw new Error(`no offset came back for partition ${partition}`);
      return Number(base);
    });
    return { from, count, bases, counts };
  }

  #open(): Producer {
    return this.#producer ??= new Producer({
      ...this.#options.connection.options,
      idempotent: true,
      // A send that fails is repeated by us, with a producer that the broker does not know.
      retries: 0,
    });
  }

  async #forget(): Promise<void> {
    const producer = this.#producer;
    this.#producer = undefined;
    if (producer !== undefined) await settlesWithin(producer.close(true), CLOSE_DEADLINE_MS);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#forget();
  }
}

/** @throws when it did not settle within the deadline, or somebody gives up */
function inTime(send: Promise<Send>, abandon: AbortSignal): Promise<Send> {
  const { promise, resolve, reject } = Promise.withResolvers<Send>();
  const timer = setTimeout(() => reject(new Error("no answer in time")), SEND_DEADLINE_MS);
  const giveUp = () => reject(new Error("given up"));
  abandon.addEventListener("abort", giveUp, { once: true });
  send.then(resolve, reject);
  return promise.finally(() => {
    clearTimeout(timer);
    abandon.removeEventListener("abort", giveUp);
  });
}
