import { Buffer } from "node:buffer";
import { retryUntilAborted } from "../../workers/_shared/backoff.ts";
import { type Content, writeBatch } from "../../workers/_shared/kafka/batch_writer.ts";
import { type Batches, Sender } from "../../workers/_shared/kafka/sender.ts";
import { nameOf, type TimedReading } from "./fleet.ts";

const REQUEST_TIMEOUT_MS = 30_000;
const ATTEMPTS = 10;
const NEVER = new AbortController().signal;

let lastAt = NaN;
let lastText = "";

/** Cached, because many readings have the same millisecond. */
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

export function readingsBatch(readings: readonly TimedReading[]): Buffer {
  return writeBatch(readings.map(contentOf));
}

export function openSender(servers: string, topic: string): Sender {
  const options = {
    clientId: "heartbeat-bench",
    bootstrapBrokers: servers.split(","),
    requestTimeout: REQUEST_TIMEOUT_MS,
  };
  return new Sender({ topic, options });
}

/** Retries, because a broker may refuse the first requests for a new topic. */
export async function sendBatches(sender: Pick<Sender, "sendBatches">, batches: Batches): Promise<void> {
  await retryUntilAborted(() => sender.sendBatches(batches), (error, attempts) => {
    if (attempts === ATTEMPTS) throw error;
  }, { signal: NEVER });
}
