import { sleep } from "../../workers/_shared/backoff.ts";
import type { Sender } from "../../workers/_shared/kafka/sender.ts";
import { Fleet, type TimedReading } from "../lab/fleet.ts";
import { readingsBatch, sendBatches } from "../lab/readings_batch.ts";

const LINGER_MS = 1;
const MAX_PER_REQUEST = 5_000;

export interface Load {
  readonly customers: number;
  readonly rate: number;
}

/**
 * The timestamp of a reading is the time when it was due. If the sender cannot keep up with the rate, overdue readings
 * wait, and this counts as latency.
 *
 * @returns the number of readings sent
 */
export async function steadyLoad(
  sender: Sender,
  { customers, rate, partitions, signal }: Load & { partitions: number; signal: AbortSignal },
): Promise<number> {
  const fleet = new Fleet(customers, customers / rate * 1000);
  const began = Date.now();
  let sent = 0;
  let failure: unknown;
  const inFlight = new Set<Promise<void>>();
  while (!signal.aborted && failure === undefined) {
    await sleep(LINGER_MS, { signal });
    const [now, most] = [Date.now(), sent + MAX_PER_REQUEST];
    const byPartition = Array.from({ length: partitions }, (): TimedReading[] => []);
    for (; sent < most; sent++) {
      const reading = fleet.reading(sent, began);
      if (reading.at >= now) break;
      byPartition[reading.customer % partitions]?.push(reading);
    }
    const batches = byPartition.flatMap((readings, partition) =>
      readings.length === 0 ? [] : [[partition, readingsBatch(readings)] as const]
    );
    if (batches.length === 0) continue;
    const request = sendBatches(sender, batches).catch((error) => {
      failure = error;
    }).finally(() => inFlight.delete(request));
    inFlight.add(request);
  }
  await Promise.all(inFlight);
  if (failure !== undefined) throw failure;
  return sent;
}
