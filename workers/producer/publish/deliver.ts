/** One batch, from the first try to the acknowledgement, or to the refusal of the one record that Kafka does not take. */
import { backoffMs, sleep } from "../../_shared/backoff.ts";
import { findInCauses } from "../../_shared/errors.ts";
import { kafkaFailure } from "../../_shared/kafka/client.ts";
import type { KafkaConnection } from "../../_shared/kafka/client.ts";
import type { OutgoingRecord } from "../generate.ts";
import type { Place } from "../../_shared/kafka/sender.ts";
import type { Tally } from "./tally.ts";
import type { ProducerTelemetry } from "./telemetry.ts";

/** Where records go, and who is told. */
export interface Target {
  readonly sender: { send(batch: Batch): Promise<Place> };
  readonly connection: KafkaConnection;
  /** Of the topic, when it was looked at; ones that are added later are used after the next start. */
  readonly partitions: number;
  readonly telemetry: ProducerTelemetry;
}

/** Records that travel in one request. */
export interface Batch {
  readonly partition: number;
  readonly records: readonly OutgoingRecord[];
}

export interface Delivery extends Target {
  readonly tally: Tally;
  /** Aborts when there is no time left to try again. */
  readonly gaveUp: AbortSignal;
}

/** Answers about the records themselves: trying again cannot help, sending fewer at a time may. */
const REFUSALS = new Set(["MESSAGE_TOO_LARGE", "RECORD_LIST_TOO_LARGE", "INVALID_RECORD"]);

/** Resolves when every record of the batch is acknowledged, refused or given up; it never rejects. */
export async function deliver(batch: Batch, delivery: Delivery): Promise<void> {
  const { sender, connection: { topic }, telemetry, tally, gaveUp } = delivery;
  const { partition, records } = batch;
  const bytes = records.reduce((sum, { key, value }) => sum + key.length + (value?.length ?? 0), 0);
  for (let attempt = 1; !gaveUp.aborted; attempt++) {
    const startedMs = performance.now();
    try {
      const place = await before(gaveUp, sender.send(batch));
      const durationMs = performance.now() - startedMs;
      tally.published(records.length, bytes, durationMs);
      telemetry.batchPublished(batch, { bytes, durationMs, place });
      return;
    } catch (error) {
      if (gaveUp.aborted) break;
      const failure = kafkaFailure(
        `publish to topic ${topic}, partition ${partition}`,
        delivery.connection,
        error,
      );
      if (REFUSALS.has(String(findInCauses(error, "apiId")))) return await isolate(batch, failure, delivery);
      const retryInMs = backoffMs(attempt);
      telemetry.publishFailed(failure, { attempt, records: records.length, retryInMs, partition });
      if (attempt === 1) tally.retried += records.length;
      await sleep(retryInMs, { signal: gaveUp });
    }
  }
  tally.failed += records.length;
}

/** Halves a refused batch until the culprit stands alone, so that its neighbours are published. */
async function isolate({ partition, records }: Batch, failure: Error, delivery: Delivery): Promise<void> {
  const [first, second] = records;
  if (first !== undefined && second === undefined) {
    delivery.tally.failed++;
    delivery.telemetry.recordRefused(failure, first);
    return;
  }
  const half = Math.ceil(records.length / 2);
  await deliver({ partition, records: records.slice(0, half) }, delivery);
  await deliver({ partition, records: records.slice(half) }, delivery);
}

/** The promise's outcome, unless the signal comes first: a request to a dead broker may take longer than we have. */
async function before<T>(signal: AbortSignal, promise: Promise<T>): Promise<T> {
  const aborted = Promise.withResolvers<never>();
  const onAbort = () => aborted.reject(signal.reason);
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    return await Promise.race([promise, aborted.promise]);
  } finally {
    signal.removeEventListener("abort", onAbort);
    promise.catch(() => {});
  }
}
