import { strictEqual } from "node:assert";
import { eventually } from "../../lab/eventually.ts";
import type { Intended } from "../support/judge.ts";
import type { Place } from "../../lab/place.ts";
import type { Sent } from "../../lab/produce.ts";
import type { StartOptions, WorkerProcess } from "../../lab/worker_process.ts";
import { accountFor } from "./account.ts";
import { backlog } from "./backlog.ts";

/** Number of partitions of the topic of every test with a `Load`. */
export const PARTITIONS = 4;
/** Number of records in one request. */
export const BATCH = 500;

/** Publishes records until it is stopped, and repeats each request that fails. */
export class Load {
  readonly sent: Sent<Intended>[] = [];
  /** True after a request failed: the log can then contain records twice. */
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

  async waitForGrowth(by: number): Promise<void> {
    const goal = this.sent.length + by;
    await eventually(`${by} more records in the log`, () => this.sent.length >= goal);
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    await this.#running;
  }
}

export async function countStored(place: Place): Promise<number> {
  const [row] = await place.sql<{ stored: string }>(
    "select coalesce(sum(stored), 0) as stored from public.ingest_offsets",
  );
  return Number(row?.stored);
}

/** Waits until the ledger row of each given partition has exactly this next offset. */
export async function waitForNextOffsets(
  place: Place,
  goals: Readonly<Record<number, number>>,
): Promise<void> {
  let seen: unknown;
  await eventually(`next offsets ${JSON.stringify(goals)}`, async () => {
    const rows = await place.sql("select kafka_partition, next_offset from public.ingest_offsets");
    const next = new Map(rows.map((row) => [String(row.kafka_partition), Number(row.next_offset)]));
    seen = next;
    return Object.entries(goals).every(([partition, goal]) => next.get(partition) === goal);
  }, { withinMs: 90_000, seen: () => seen });
}

/** Runs a consumer under load, disturbs it, and then checks that every record is accounted for. */
export async function assertSurvives(
  place: Place,
  disturb: (load: Load, consumer: WorkerProcess) => Promise<void>,
  options: StartOptions = {},
): Promise<void> {
  const consumer = place.consumer(options);
  const load = new Load(place);
  try {
    await eventually("the first rows", async () => await countStored(place) > 2 * BATCH);
    await disturb(load, consumer);
    await load.waitForGrowth(4 * BATCH);
  } finally {
    await load.stop();
  }
  await accountFor(place, load.sent, { resent: load.resent });
  await consumer.untilReady();
  strictEqual(consumer.running, true, "the process has ended");
}
