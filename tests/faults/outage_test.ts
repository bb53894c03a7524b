/** Servers that stop, die and fall silent under load. An outage rejects nothing, shows in readiness, and is caught up with. */
import { strictEqual } from "node:assert";
import { eventually } from "../support/eventually.ts";
import { type Intended, judge } from "../support/judge.ts";
import type { Place } from "../support/place.ts";
import type { Sent } from "../support/produce.ts";
import { onPlace } from "../support/services.ts";
import { backlog } from "./backlog.ts";

const PARTITIONS = 4;
const BATCH = 500;

/** Publishes until told to stop, whatever the broker does. */
class Load {
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

async function stored(place: Place): Promise<number> {
  const [row] = await place.sql<{ stored: string }>(
    "select coalesce(sum(stored), 0) as stored from public.ingest_offsets",
  );
  return Number(row?.stored);
}

/** Load, a consumer that keeps up with it, then `disturb`; afterwards everything must be accounted for. */
async function survives(
  place: Place,
  disturb: (load: Load, consumer: ReturnType<Place["consumer"]>) => Promise<void>,
): Promise<void> {
  const consumer = place.consumer();
  const load = new Load(place);
  try {
    await eventually("the first rows", async () => await stored(place) > 2 * BATCH);
    await disturb(load, consumer);
    await load.grows(4 * BATCH);
  } finally {
    await load.stop();
  }
  await place.caughtUp();
  await judge(place, load.sent, { resent: load.resent });
  await consumer.ready();
  strictEqual(consumer.running, true, "the same process outlived it");
}

Deno.test(
  "PostgreSQL stopped under load: not ready but alive, nothing rejected, caught up afterwards",
  onPlace({ partitions: PARTITIONS }, (place) =>
    survives(place, async (load, consumer) => {
      await place.stack.postgres.stop();
      await consumer.notReady(/database: Cannot /);
      await load.grows(40 * BATCH);
      strictEqual((await consumer.get("/livez")).status, 200);
      strictEqual((await consumer.get("/readyz")).status, 503);
      await place.stack.postgres.start();
    })),
);

Deno.test(
  "PostgreSQL killed under load: nothing lost, nothing twice",
  onPlace({ partitions: PARTITIONS }, (place) =>
    survives(place, async (load, consumer) => {
      for (let time = 0; time < 3; time++) {
        const before = await stored(place);
        await place.stack.postgres.kill();
        await consumer.notReady(/database: Cannot /);
        await load.grows(4 * BATCH);
        await place.stack.postgres.start();
        await eventually("progress after the crash", async () => await stored(place) > before);
      }
    })),
);

Deno.test(
  "Kafka stopped under load: not ready but alive, caught up afterwards",
  onPlace({ partitions: PARTITIONS }, (place) =>
    survives(place, async (_load, consumer) => {
      await place.stack.kafka.stop();
      await consumer.notReady(/(kafka|broker \d+): Cannot /);
      strictEqual((await consumer.get("/livez")).status, 200);
      await place.stack.kafka.start();
    })),
);

Deno.test(
  "Kafka killed under load: nothing acknowledged is lost, nothing twice",
  onPlace({ partitions: PARTITIONS }, (place) =>
    survives(place, async (_load, consumer) => {
      await place.stack.kafka.kill();
      await consumer.notReady(/(kafka|broker \d+): Cannot /);
      await place.stack.kafka.start();
    })),
);

Deno.test(
  "a Kafka that keeps its connections and says nothing turns readiness red, and reading goes on when it speaks again",
  onPlace({ partitions: PARTITIONS }, (place) =>
    survives(place, async (_load, consumer) => {
      await place.stack.kafka.freeze();
      await consumer.notReady(/(kafka|broker \d+): Cannot /);
      strictEqual((await consumer.get("/livez")).status, 200);
      await place.stack.kafka.thaw();
    })),
);
