/** Readings at a fixed rate, sent by a client that waits a millisecond for company. */
import { sleep } from "../../workers/_shared/backoff.ts";
import type { Sender } from "../../workers/_shared/kafka/sender.ts";
import { CUSTOMERS, heartRateOf } from "../lab/large_table.ts";
import { readingsBatch, sendBatches, type TimedReading } from "../lab/readings_batch.ts";

const LINGER_MS = 1;
/** Behind by more than this, what is due is made later: a rate that the machine cannot give is said, not hidden. */
const MOST_A_REQUEST = 5_000;

/**
 * Sends until `signal` aborts. A reading's timestamp is the instant at which it was due, so that waiting for company
 * counts as latency.
 *
 * @param rate readings a second
 * @returns how many were sent
 */
export async function steadyLoad(
  sender: Sender,
  { rate, partitions, signal }: { rate: number; partitions: number; signal: AbortSignal },
): Promise<number> {
  const began = Date.now();
  let sent = 0;
  let failure: unknown;
  const inFlight = new Set<Promise<void>>();
  while (!signal.aborted && failure === undefined) {
    await sleep(LINGER_MS, { signal });
    const due = Math.min(Math.floor((Date.now() - began) * rate / 1000), sent + MOST_A_REQUEST);
    if (due === sent) continue;
    const byPartition = Array.from({ length: partitions }, (): TimedReading[] => []);
    for (; sent < due; sent++) {
      const customer = sent % CUSTOMERS;
      const at = began + Math.floor(sent * 1000 / rate);
      byPartition[customer % partitions]?.push({ customer, at, heartRate: heartRateOf(customer, sent) });
    }
    const batches = byPartition.flatMap((readings, partition) =>
      readings.length === 0 ? [] : [[partition, readingsBatch(readings)] as const]
    );
    const request = sendBatches(sender, batches).catch((error) => {
      failure = error;
    }).finally(() => inFlight.delete(request));
    inFlight.add(request);
  }
  await Promise.all(inFlight);
  if (failure !== undefined) throw failure;
  return sent;
}
