import type { Place } from "../../lab/place.ts";
import { sleep } from "../../workers/_shared/backoff.ts";
import type { Sender } from "../../workers/_shared/kafka/sender.ts";
import { sqlState } from "../../workers/_shared/postgres.ts";
import { Fleet } from "../lab/fleet.ts";
import { openSender } from "../lab/readings_batch.ts";
import { CyclesBatch } from "./cycles_batch.ts";

const CUSTOMERS = 1_000;
const INTERVAL_SECONDS = 5;
/** Cycles of the fleet (bench/lab/fleet.ts) in one request. Each partition's part of it stays far below the maximum size of a batch. */
const CYCLES_PER_REQUEST = 12;
/** With one request at a time, the load would be slower than the consumer on busy processors. */
const REQUESTS_IN_FLIGHT = 4;
const POLL_EVERY_MS = 50;
const RETRY_DELAY_MS = 500;
const DELETE_EVERY_MS = 10_000;
const DAY_MS = 86_400_000;
/** Age of the first reading. Readings older than 62 days would be in partitions of a month, which are dropped too late. */
const MAX_AGE_DAYS = 60;

/** The records that fit between the first reading and the youngest days that the database allows to drop. */
export const MAX_RECORDS = CUSTOMERS * Math.floor((MAX_AGE_DAYS - 2) * DAY_MS / 1000 / INTERVAL_SECONDS);

/**
 * All records of a customer are in one partition, in the order of time. So the offset of a record gives its approximate
 * timestamp.
 */
export class SoakLoad implements AsyncDisposable {
  /** Records that the broker acknowledged. */
  loaded = 0;
  /** Failed requests that were repeated. Their records may be in the log twice. */
  repeated = 0;
  readonly #place: Place;
  readonly #partitions: number;
  readonly #onError: (error: unknown) => void;
  readonly #sender: Sender;
  readonly #batches: readonly CyclesBatch[];
  readonly #startMs = Math.floor((Date.now() - MAX_AGE_DAYS * DAY_MS) / 1000) * 1000;
  #cycle = 0;

  constructor(place: Place, partitions: number, onError: (error: unknown) => void) {
    this.#onError = onError;
    this.#place = place;
    this.#partitions = partitions;
    this.#sender = openSender(place.stack.kafkaBootstrapServers, place.topic);
    const fleet = new Fleet(CUSTOMERS, INTERVAL_SECONDS * 1000);
    const customers = Array.from({ length: CUSTOMERS }, (_, index) => fleet.reading(index, 0).customer);
    this.#batches = Array.from({ length: partitions }, (_, partition) => {
      return new CyclesBatch(
        customers.filter((customer) => customer % partitions === partition),
        CYCLES_PER_REQUEST,
      );
    });
  }

  async fill(backlog: number, { signal }: { signal: AbortSignal }): Promise<void> {
    while (!signal.aborted && this.loaded < backlog) await this.#publishNext(signal);
  }

  async keepFilled(
    backlog: number,
    stored: () => number,
    { signal }: { signal: AbortSignal },
  ): Promise<void> {
    const keep = async () => {
      while (!signal.aborted) {
        if (this.loaded - stored() >= backlog) await sleep(POLL_EVERY_MS, { signal });
        else await this.#publishNext(signal);
      }
    };
    await Promise.all(Array.from({ length: REQUESTS_IN_FLIGHT }, keep));
  }

  /** Repeats a failed request, because a short overload of the machine must not end a long run. */
  async #publishNext(signal: AbortSignal): Promise<void> {
    const cycle = this.#cycle;
    this.#cycle += CYCLES_PER_REQUEST;
    while (!signal.aborted) {
      try {
        await this.#publish(cycle);
        this.loaded += CYCLES_PER_REQUEST * CUSTOMERS;
        return;
      } catch (error) {
        this.repeated++;
        this.#onError(error);
        await sleep(RETRY_DELAY_MS, { signal });
      }
    }
  }

  async #publish(first: number): Promise<void> {
    const seconds = Array.from({ length: CYCLES_PER_REQUEST }, (_, cycle) => {
      return this.#startMs / 1000 + (first + cycle) * INTERVAL_SECONDS;
    });
    await this.#sender.sendBatches(this.#batches.map((batch, partition) => [partition, batch.at(seconds)]));
  }

  /** Deletes stored records, and drops days that were read (as retention does), so that an hour fits on a small disk. */
  async deleteStored(
    next: () => ReadonlyMap<number, number>,
    { signal }: { signal: AbortSignal },
  ): Promise<void> {
    while (!signal.aborted) {
      await sleep(DELETE_EVERY_MS, { signal });
      const offsets = [...next()];
      if (offsets.length < this.#partitions) continue;
      await this.#deleteUpTo(offsets).catch(this.#onError);
      const cycles = offsets.map(([partition, offset]) => {
        return Math.floor(offset / Math.ceil((CUSTOMERS - partition) / this.#partitions));
      });
      const unread = this.#startMs + Math.min(...cycles) * INTERVAL_SECONDS * 1000;
      await this.#dropDaysBefore(unread - DAY_MS).catch(this.#onError);
    }
  }

  async #deleteUpTo(offsets: readonly (readonly [partition: number, offset: number])[]): Promise<void> {
    await this.#place.admin.deleteRecords({
      topics: [{
        name: this.#place.topic,
        partitions: offsets.map(([partition, offset]) => ({ partition, offset: BigInt(offset) })),
      }],
    });
  }

  async #dropDaysBefore(instantMs: number): Promise<void> {
    const before = new Date(Math.min(instantMs, Date.now() - DAY_MS)).toISOString();
    try {
      let left = true;
      while (left) {
        const [row] = await this.#place.sql(
          "select public.drop_old_heartbeat_partition('public.heartbeats', $1) is not null as left",
          [before],
        );
        left = row?.["left"] === true;
      }
    } catch (error) {
      // The lock was not available in time. The loop of `deleteStored` tries again.
      if (sqlState(error) !== "55P03" && sqlState(error) !== "40P01") throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#sender[Symbol.asyncDispose]();
  }
}
