/** Readings as Kafka's records, these as one batch, and how batches get into a topic. */
import { Buffer } from "node:buffer";
import { retryUntilAborted } from "../../workers/_shared/backoff.ts";
import { type Content, writeBatch } from "../../workers/_shared/kafka/batch_writer.ts";
import { type Batches, Sender } from "../../workers/_shared/kafka/sender.ts";
import { nameOf, type TimedReading } from "./fleet.ts";

const REQUEST_TIMEOUT_MS = 30_000;
const TRIES = 10;
const NEVER = new AbortController().signal;

let lastAt = NaN;
let lastText = "";

/** Of the many readings of a millisecond the instant is formatted once. */
export function instantText(at: number): string {
  if (at !== lastAt) {
    lastAt = at;
    lastText = new Date(at).toISOString();
  }
  return lastText;
}

export function contentOf({ customer, at, heartRate }: TimedReading): Content {
  const name = nameOf(customer);
  return {
    key: Buffer.from(name),
    value: Buffer.from(
      `{"customer_id":"${name}","timestamp":"${instantText(at)}","heart_rate":${heartRate}}`,
    ),
  };
}

/** A batch of this moment. */
export function readingsBatch(readings: readonly TimedReading[]): Buffer {
  return writeBatch(readings.map(contentOf));
}

/** @param servers separated by commas */
export function openSender(servers: string, topic: string): Sender {
  const options = {
    clientId: "heartbeat-bench",
    bootstrapBrokers: servers.split(","),
    requestTimeout: REQUEST_TIMEOUT_MS,
  };
  return new Sender({ topic, options });
}

/** A broker whose topic was just made may turn the first requests away; what it took twice would be counted as a fault. */
export async function sendBatches(sender: Pick<Sender, "sendBatches">, batches: Batches): Promise<void> {
  await retryUntilAborted(() => sender.sendBatches(batches), (error, attempts) => {
    if (attempts === TRIES) throw error;
  }, { signal: NEVER });
}
