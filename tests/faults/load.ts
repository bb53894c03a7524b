/** A load that goes on whatever the servers do, a consumer that keeps up with it, and a disturbance in between. */
import { strictEqual } from "node:assert";
import { eventually } from "../../lab/eventually.ts";
import type { Intended } from "../support/judge.ts";
import type { Place } from "../../lab/place.ts";
import type { Sent } from "../../lab/produce.ts";
import type { StartOptions, WorkerProcess } from "../../lab/worker_process.ts";
import { accountFor } from "./account.ts";
import { backlog } from "./backlog.ts";

/** Of the topic of a test that uses this. */
export const PARTITIONS = 4;
/** Records in one request. */
export const BATCH = 500;

/** Publishes until told to stop, whatever the broker does. */
export class Load {
  readonly sent: Sent<Intended>[] = [];
  /** Whether a send failed: then its records may be in the log once more than acknowledged. */
  resent = false;
  #stopping = false;
  #published = 0;
  readonly #place: Place;
  readonly #running: Promise<void>;

  constructor(place: Place) {
    this.#place = place;
    this.#running = this.#run();
  }

  async #run(): Promise<void> {
    while (!this.#stopping) {
      const records = backlog(this.#published, BATCH, PARTITIONS);
      try {
        this.sent.push(...await this.#place.publisher.send(records));
        this.#published += BATCH;
      } catch {
        this.resent = true;
        await this.#place.publisher.forget();
      }
    }
  }

  /** Waits until so many more records were acknowledged. */
  async grows(by: number): Promise<void> {
    const goal = this.sent.length + by;
    await eventually(`${by} more records in the log`, () => this.sent.length >= goal);
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    await this.#running;
  }
}

/** Rows that the ledger counts. */
export async function stored(place: Place): Promise<number> {
  const [row] = await place.sql<{ stored: string }>(
    "select coalesce(sum(stored), 0) as stored from public.ingest_offsets",
  );
  return Number(row?.stored);
}

/** Load, a consumer that keeps up with it, then `disturb`; afterwards everything must be accounted for. */
export async function survives(
  place: Place,
  disturb: (load: Load, consumer: WorkerProcess) => Promise<void>,
  options: StartOptions = {},
): Promise<void> {
  const consumer = place.consumer(options);
  const load = new Load(place);
  try {
    await eventually("the first rows", async () => await stored(place) > 2 * BATCH);
    await disturb(load, consumer);
    await load.grows(4 * BATCH);
  } finally {
    await load.stop();
  }
  await accountFor(place, load.sent, { resent: load.resent });
  await consumer.ready();
  strictEqual(consumer.running, true, "the same process outlived it");
}
