/** One batch, from the first try to the acknowledgement, or to the refusal of the one record that Kafka does not take. */
import type { Producer } from "@platformatic/kafka";
import { backoffMs, sleep } from "../_shared/backoff.ts";
import { findInCauses } from "../_shared/errors.ts";
import { kafkaFailure } from "../_shared/kafka.ts";
import type { KafkaConnection } from "../_shared/kafka.ts";
import type { OutgoingRecord } from "./generate.ts";
import type { Tally } from "./tally.ts";
import type { ProducerTelemetry } from "./telemetry.ts";

export interface Delivery {
  readonly producer: Producer;
  readonly connection: KafkaConnection;
  readonly telemetry: ProducerTelemetry;
  readonly tally: Tally;
  /** Aborts when there is no time left to try again. */
  readonly gaveUp: AbortSignal;
}

/** Answers about the records themselves: trying again cannot help, sending fewer at a time may. */
const REFUSALS = new Set(["MESSAGE_TOO_LARGE", "RECORD_LIST_TOO_LARGE", "INVALID_RECORD"]);

const ALL_IN_SYNC_REPLICAS = -1;

/** Resolves when every record of the batch is acknowledged, refused or given up; it never rejects. */
export async function deliver(batch: readonly OutgoingRecord[], delivery: Delivery): Promise<void> {
  const { producer, connection, telemetry, tally, gaveUp } = delivery;
  const messages = batch.map(({ key, value }) => ({ topic: connection.topic, key, value: value as Buffer }));
  const bytes = batch.reduce((sum, { key, value }) => sum + key.length + (value?.length ?? 0), 0);
  for (let attempt = 1; !gaveUp.aborted; attempt++) {
    const startedMs = performance.now();
    try {
      const { offsets = [] } = await before(gaveUp, producer.send({ messages, acks: ALL_IN_SYNC_REPLICAS }));
      const durationMs = performance.now() - startedMs;
      tally.published(batch.length, bytes, durationMs);
      telemetry.batchPublished({ records: batch, bytes, durationMs, offsets });
      return;
    } catch (error) {
      if (gaveUp.aborted) break;
      const failure = kafkaFailure(`publish to topic ${connection.topic}`, connection, error);
      if (REFUSALS.has(String(findInCauses(error, "apiId")))) return await isolate(batch, failure, delivery);
      const retryInMs = backoffMs(attempt);
      telemetry.publishFailed(failure, { attempt, records: batch.length, retryInMs });
      if (attempt === 1) tally.retried += batch.length;
      await sleep(retryInMs, { signal: gaveUp });
    }
  }
  tally.failed += batch.length;
}

/** Halves a refused batch until the culprit stands alone, so that its neighbours are published. */
async function isolate(batch: readonly OutgoingRecord[], failure: Error, delivery: Delivery): Promise<void> {
  const [first, second] = batch;
  if (first !== undefined && second === undefined) {
    delivery.tally.failed++;
    delivery.telemetry.recordRefused(failure, first);
    return;
  }
  const half = Math.ceil(batch.length / 2);
  await deliver(batch.slice(0, half), delivery);
  await deliver(batch.slice(half), delivery);
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
