import type { Place } from "../../lab/place.ts";
import { sleep } from "../../workers/_shared/backoff.ts";
import type { Sender } from "../../workers/_shared/kafka/sender.ts";
import { sqlState } from "../../workers/_shared/postgres.ts";
import { Fleet } from "../lab/fleet.ts";
import { openSender } from "../lab/readings_batch.ts";
import { RoundsBatch } from "./rounds_batch.ts";

const CUSTOMERS = 1_000;
const INTERVAL_SECONDS = 5;
/** The next readings of each customer. The share of one partition stays far below the maximum size of a batch. */
const ROUNDS_PER_REQUEST = 12;
/** With one request at a time, the load would be slower than the consumer on busy processors. */
const REQUESTS_IN_FLIGHT = 4;
const POLL_EVERY_MS = 50;
const RETRY_DELAY_MS = 500;
const DELETE_EVERY_MS = 10_000;
const DAY_MS = 86_400_000;
/** Age of the first reading. Beyond 62 days, partitions are of months, which could not be dropped in time. */
const MAX_AGE_DAYS = 60;

/** The records that fit between the first reading and the youngest days that the database allows to drop. */
export const MAX_RECORDS = CUSTOMERS * Math.floor((MAX_AGE_DAYS - 2) * DAY_MS / 1000 / INTERVAL_SECONDS);

/** A customer has one partition, and its records are in order, so an offset determines the approximate timestamp. */
export class SoakLoad implements AsyncDisposable {
  /** Records that the broker acknowledged. */
  loaded = 0;
  /** Failed requests that were repeated. Their records may be in the log twice. */
  repeated = 0;
  readonly #place: Place;
  readonly #partitions: number;
  readonly #onError: (error: unknown) => void;
  readonly #sender: Sender;
  readonly #batches: readonly RoundsBatch[];
  readonly #startMs = Math.floor((Date.now() - MAX_AGE_DAYS * DAY_MS) / 1000) * 1000;
  #round = 0;

  constructor(place: Place, partitions: number, onError: (error: unknown) => void) {
    this.#onError = onError;
    this.#place = place;
    this.#partitions = partitions;
    this.#sender = openSender(place.stack.kafkaBootstrapServers, place.topic);
    const fleet = new Fleet(CUSTOMERS, INTERVAL_SECONDS * 1000);
    const customers = Array.from({ length: CUSTOMERS }, (_, index) => fleet.reading(index, 0).customer);
    this.#batches = Array.from({ length: partitions }, (_, partition) => {
      return new RoundsBatch(
        customers.filter((customer) => customer % partitions === partition),
        ROUNDS_PER_REQUEST,
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
    const round = this.#round;
    this.#round += ROUNDS_PER_REQUEST;
    while (!signal.aborted) {
      try {
        await this.#publish(round);
        this.loaded += ROUNDS_PER_REQUEST * CUSTOMERS;
        return;
      } catch (error) {
        this.repeated++;
        this.#onError(error);
        await sleep(RETRY_DELAY_MS, { signal });
      }
    }
  }

  async #publish(first: number): Promise<void> {
    const seconds = Array.from({ length: ROUNDS_PER_REQUEST }, (_, round) => {
      return this.#startMs / 1000 + (first + round) * INTERVAL_SECONDS;
    });
    await this.#sender.sendBatches(this.#batches.map((batch, partition) => [partition, batch.at(seconds)]));
  }

  /** Deletes stored records and drops read days, counted as by retention, so that an hour fits on a small disk. */
  async deleteStored(
    next: () => ReadonlyMap<number, number>,
    { signal }: { signal: AbortSignal },
  ): Promise<void> {
    while (!signal.aborted) {
      await sleep(DELETE_EVERY_MS, { signal });
      const offsets = [...next()];
      if (offsets.length < this.#partitions) continue;
      await this.#deleteUpTo(offsets).catch(this.#onError);
      const rounds = offsets.map(([partition, offset]) => {
        return Math.floor(offset / Math.ceil((CUSTOMERS - partition) / this.#partitions));
      });
      const unread = this.#startMs + Math.min(...rounds) * INTERVAL_SECONDS * 1000;
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
      // The lock was not available in time. The next round tries again.
      if (sqlState(error) !== "55P03" && sqlState(error) !== "40P01") throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#sender[Symbol.asyncDispose]();
  }
}
