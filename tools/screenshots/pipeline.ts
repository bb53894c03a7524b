import { Monitor } from "../../lab/monitor.ts";
import { Place } from "../../lab/place.ts";
import type { WorkerProcess } from "../../lab/worker_process.ts";
import type { Stack } from "../../stack/mod.ts";
import { sayProgress } from "../../stack/output.ts";
import { sleep } from "../../workers/_shared/backoff.ts";
import { type Due, HOUR_MS, PARTITIONS, SeededHour } from "./seeded_hour.ts";

const SEND_EVERY_MS = 1_000;
/** A page shows no rate and no minute averages before. */
const SETTLE_MS = 20_000;

/** A consumer and a monitor on a topic and a database of their own. */
export class Pipeline implements AsyncDisposable {
  readonly #over = new AbortController();
  #sending: Promise<void> = Promise.resolve();

  private constructor(
    readonly place: Place,
    readonly consumer: WorkerProcess,
    readonly monitor: Monitor,
  ) {}

  /** @param topic a name without hyphens, which the pages show; also the name of the database */
  static async start(stack: Stack, topic: string): Promise<Pipeline> {
    const place = new Place(stack, topic);
    await place.asSuperuser(`create database "${topic}" owner heartbeat_user`);
    await place.createTopic(PARTITIONS);
    const monitor = await Monitor.start(place);
    const consumer = place.consumer();
    await consumer.untilReady();
    return new Pipeline(place, consumer, monitor);
  }

  /** Sends the hour that ends now, and continues with one reading of each customer every five seconds. */
  async fill(): Promise<void> {
    const hour = new SeededHour(Date.now() - HOUR_MS);
    sayProgress("Storing the seeded hour");
    const early = [...hour.until(Date.now() - HOUR_MS + 2_000)];
    await this.place.publisher.transact(early, "commit");
    const sent = await this.place.publisher.send([...hour.until(Date.now())]);
    // Some clients send a record twice.
    await this.place.publisher.send(
      sent.filter((_, index) => index % 5_000 === 0).map(({ record }) => record),
    );
    await this.place.untilStored();
    await this.#spread(sent);
    const { signal } = this.#over;
    this.#sending = (async () => {
      while (!signal.aborted) {
        await this.place.publisher.send([...hour.until(Date.now())]);
        await sleep(SEND_EVERY_MS, { signal });
      }
    })();
    await sleep(SETTLE_MS, { signal });
  }

  /** The hour was stored at once. Gives each reject the instant at which it would have arrived. */
  async #spread(sent: readonly { partition: number; offset: number; record: Due }[]): Promise<void> {
    const rejects = await this.place.sql<
      { ledger_id: string; kafka_partition: number; kafka_offset: string }
    >(
      "select ledger_id, kafka_partition, kafka_offset from public.heartbeat_rejects",
    );
    const due = new Map(
      sent.map(({ partition, offset, record }) => [`${partition}:${offset}`, record.dueMs]),
    );
    for (const { ledger_id, kafka_partition, kafka_offset } of rejects) {
      await this.place.sql(
        `update public.heartbeat_rejects
            set rejected_at = coalesce(to_timestamp($3::float8 / 1000), rejected_at)
          where ledger_id = $1 and kafka_offset = $2`,
        [ledger_id, kafka_offset, due.get(`${kafka_partition}:${kafka_offset}`) ?? null],
      );
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#over.abort();
    await this.#sending;
    await this.monitor[Symbol.asyncDispose]();
    await this.place[Symbol.asyncDispose]();
  }
}
