/** Keeps a topic filled so that its consumer never waits, and takes away what it has stored. */
import type { Place } from "../../lab/place.ts";
import { sleep } from "../../workers/_shared/backoff.ts";
import type { Sender } from "../../workers/_shared/kafka/sender.ts";
import { sqlState } from "../../workers/_shared/postgres.ts";
import { Fleet } from "../lab/fleet.ts";
import { openSender } from "../lab/readings_batch.ts";
import { RoundsBatch } from "./rounds_batch.ts";

const CUSTOMERS = 1_000;
export const INTERVAL_SECONDS = 5;
/** Each customer's next readings in one request; a partition's share stays far below what a broker takes. */
const ROUNDS_A_REQUEST = 12;
/** Under way at once: who waits for each answer is slower than the consumer, once the processors are busy. */
const REQUESTS = 4;
const LOOK_EVERY_MS = 50;
const AFTER_TROUBLE_MS = 500;
const TAKE_AWAY_EVERY_MS = 10_000;
const DAY_MS = 86_400_000;
/** Above it a day's readings would be younger than what the database lets anyone drop. */
const MAX_AGE_DAYS = 60;

/** As many records as fit between the oldest instant of a day partition and the present. */
export const MOST_RECORDS = CUSTOMERS * Math.floor((MAX_AGE_DAYS - 2) * DAY_MS / 1000 / INTERVAL_SECONDS);

/**
 * Readings of 1,000 customers, one every five seconds, that begin sixty days ago. A customer's records are all in one
 * partition, in order but for what had to be tried again, so that an offset says about which instant it is.
 */
export class SoakLoad implements AsyncDisposable {
  /** Records that the broker acknowledged. */
  loaded = 0;
  /** Requests that failed and were repeated: their records may be in the log once more. */
  repeated = 0;
  readonly #place: Place;
  readonly #partitions: number;
  readonly #onTrouble: (error: unknown) => void;
  readonly #sender: Sender;
  /** By partition. */
  readonly #batches: readonly RoundsBatch[];
  readonly #startMs = Math.floor((Date.now() - MAX_AGE_DAYS * DAY_MS) / 1000) * 1000;
  #round = 0;

  constructor(place: Place, partitions: number, onTrouble: (error: unknown) => void) {
    this.#onTrouble = onTrouble;
    this.#place = place;
    this.#partitions = partitions;
    this.#sender = openSender(place.stack.kafkaBootstrapServers, place.topic);
    const fleet = new Fleet(CUSTOMERS, INTERVAL_SECONDS * 1000);
    const customers = Array.from({ length: CUSTOMERS }, (_, index) => fleet.reading(index, 0).customer);
    this.#batches = Array.from({ length: partitions }, (_, partition) => {
      return new RoundsBatch(
        customers.filter((customer) => customer % partitions === partition),
        ROUNDS_A_REQUEST,
      );
    });
  }

  /** Publishes until so many records are in the log. */
  async fill(backlog: number, { signal }: { signal: AbortSignal }): Promise<void> {
    while (!signal.aborted && this.loaded < backlog) await this.#publishNext(signal);
  }

  /** Refills until `signal`: so many records are in the log beyond those that are stored. */
  async keepFilled(
    backlog: number,
    stored: () => number,
    { signal }: { signal: AbortSignal },
  ): Promise<void> {
    const keep = async () => {
      while (!signal.aborted) {
        if (this.loaded - stored() >= backlog) await sleep(LOOK_EVERY_MS, { signal });
        else await this.#publishNext(signal);
      }
    };
    await Promise.all(Array.from({ length: REQUESTS }, keep));
  }

  /** What fails is told and tried again: an hour's run shall not end because the machine was busy for a moment. */
  async #publishNext(signal: AbortSignal): Promise<void> {
    const round = this.#round;
    this.#round += ROUNDS_A_REQUEST;
    while (!signal.aborted) {
      try {
        await this.#publish(round);
        this.loaded += ROUNDS_A_REQUEST * CUSTOMERS;
        return;
      } catch (error) {
        this.repeated++;
        this.#onTrouble(error);
        await sleep(AFTER_TROUBLE_MS, { signal });
      }
    }
  }

  /** One request: a batch for each partition. @param first of its rounds */
  async #publish(first: number): Promise<void> {
    const seconds = Array.from({ length: ROUNDS_A_REQUEST }, (_, round) => {
      return this.#startMs / 1000 + (first + round) * INTERVAL_SECONDS;
    });
    await this.#sender.sendBatches(this.#batches.map((batch, partition) => [partition, batch.at(seconds)]));
  }

  /**
   * Every few seconds, until `signal`: what is stored is deleted from the log, and days that no unread record belongs to
   * are dropped from the table by the function that retention uses, which counts them. So an hour at full speed fits on
   * a small disk, and the ledger still adds up.
   */
  async takeAway(
    next: () => ReadonlyMap<number, number>,
    { signal }: { signal: AbortSignal },
  ): Promise<void> {
    while (!signal.aborted) {
      await sleep(TAKE_AWAY_EVERY_MS, { signal });
      const offsets = [...next()];
      if (offsets.length < this.#partitions) continue;
      await this.#deleteUpTo(offsets).catch(this.#onTrouble);
      const rounds = offsets.map(([partition, offset]) => {
        return Math.floor(offset / Math.ceil((CUSTOMERS - partition) / this.#partitions));
      });
      const unread = this.#startMs + Math.min(...rounds) * INTERVAL_SECONDS * 1000;
      await this.#dropBefore(unread - DAY_MS).catch(this.#onTrouble);
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

  async #dropBefore(instantMs: number): Promise<void> {
    const before = new Date(Math.min(instantMs, Date.now() - DAY_MS)).toISOString();
    try {
      let left = true;
      // A step at a time, until nothing is left to do.
      while (left) {
        const [row] = await this.#place.sql(
          "select public.drop_old_heartbeat_partition('public.heartbeats', $1) is not null as left",
          [before],
        );
        left = row?.["left"] === true;
      }
    } catch (error) {
      // Its lock could not be had in time beside the writers: the next round tries again.
      if (sqlState(error) !== "55P03" && sqlState(error) !== "40P01") throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#sender[Symbol.asyncDispose]();
  }
}
