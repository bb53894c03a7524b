/**
 * The load as a function: index -> record, and back from a row to its index. Nothing about ten million records has to be
 * remembered to say what must have become of each.
 */
import { Buffer } from "node:buffer";
import { anomalyOf, type Limits, type RejectReason } from "../../workers/_shared/record/heartbeat.ts";

/** Of the consumers that are judged: the defaults. */
export const LIMITS: Limits = {
  minBpm: 30,
  maxBpm: 220,
  lowBpm: 45,
  highBpm: 180,
  maxClockSkewSeconds: 300,
};

/** The records of an interval of indexes are sent in the order of a permutation within each block of so many. */
export const BLOCK = 100;
/** Readings a second of measured time, whatever the rate at which they are sent. */
export const READINGS_PER_SECOND = 200;
const FIRST_SECOND = Date.UTC(2026, 0, 1) / 1000;
/** So much too late: further than a minute, and no multiple of what the microseconds repeat after. */
export const LATE_SECONDS = 3_607;
const MICROS = 1_000_000;
const CUSTOMERS = 400;

export interface ChaosReading {
  readonly customerId: string;
  /** Microseconds since the Unix epoch. */
  readonly micros: number;
  readonly heartRate: number;
  readonly anomaly: "low" | "high" | null;
}

export interface ChaosRecord {
  readonly index: number;
  readonly partition: number;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  /** `row`: the reading of `of` must be stored, by this record or by another of it. */
  readonly fate: { readonly row: number } | { readonly reject: RejectReason };
}

export interface RecordsOptions {
  readonly seed: number;
  readonly partitions: number;
  /** Of the customers' ids. */
  readonly prefix?: string;
  /** Keys that are shorter are filled with spaces, which cost memory, and compressed next to nothing. */
  readonly keyLength?: number;
}

export type Kind = "good" | "late" | "repeat" | "conflict" | "bad";

/**
 * 1 % bad, 1 % late by an hour, 1 % repeats (of readings in other partitions too), 0.1 % repeats with another heart rate.
 * What is repeated is a good one.
 */
export function kindOf(index: number): Kind {
  const place = index % 100;
  if (place === 37) return "bad";
  if (place === 5) return "late";
  if (place === 91 && repeated(index) >= 0) return "repeat";
  if (index % 1000 === 463 && conflicted(index) >= 0) return "conflict";
  return "good";
}

const repeated = (index: number) => index - 50 - 1000 * (1 + Math.floor(index / 100) % 3);
const conflicted = (index: number) => index - 2020;

/** A record that must become a reject, whatever is stored. */
interface BadRecord {
  readonly reason: RejectReason;
  readonly value: Buffer | null;
}

const TIME = "2026-01-01T00:00:00Z";

function bad(reason: RejectReason, text: (index: number) => string): (index: number) => BadRecord {
  return (index) => ({ reason, value: Buffer.from(text(index)) });
}

/** Each by the record's index, so that no two are alike where a value can tell. */
export const BAD_RECORDS: readonly ((index: number) => BadRecord)[] = [
  bad("invalid_json", (index) => `{"customer_id": ${index}`),
  () => ({ reason: "tombstone", value: null }),
  (index) => ({ reason: "invalid_utf8", value: Buffer.from([0x22, 0xff, index % 256, 0x22]) }),
  bad("heart_rate_out_of_range", (i) => `{"customer_id":"x-${i}","timestamp":"${TIME}","heart_rate":300}`),
  () => ({ reason: "empty_value", value: Buffer.alloc(0) }),
  bad("not_an_object", (index) => `[${index}]`),
  bad("missing_customer_id", (index) => `{"timestamp":"${TIME}","heart_rate":70,"index":${index}}`),
  bad("invalid_customer_id", (i) => `{"customer_id":"x\\u0000${i}","timestamp":"${TIME}","heart_rate":70}`),
  bad("invalid_timestamp", (i) => `{"customer_id":"x-${i}","timestamp":"2026-02-30","heart_rate":70}`),
  bad(
    "timestamp_in_future",
    (i) => `{"customer_id":"x-${i}","timestamp":"9000-01-01T00:00:00Z","heart_rate":70}`,
  ),
  bad("invalid_heart_rate", (i) => `{"customer_id":"x-${i}","timestamp":"${TIME}","heart_rate":"7${i}"}`),
];

export class Records {
  readonly #seed: number;
  readonly partitions: number;
  readonly #prefix: string;
  readonly #keyLength: number;

  constructor({ seed, partitions, prefix = "chaos", keyLength = 0 }: RecordsOptions) {
    this.#seed = seed;
    this.partitions = partitions;
    this.#prefix = prefix;
    this.#keyLength = keyLength;
  }

  /** The index that is sent at this position; a permutation within each block, a fifth of which moves. */
  static at(position: number): number {
    const place = position % BLOCK;
    const digit = place % 10;
    return digit === 3 || digit === 6 ? position - place + (BLOCK - 1 - place) : position;
  }

  /** The same partition for a conflict and what it contradicts, so that it is known which comes first. */
  partitionOf(index: number): number {
    const original = kindOf(index) === "conflict" ? conflicted(index) : index;
    return scattered(this.#seed, original) % this.partitions;
  }

  record(index: number): ChaosRecord {
    const partition = this.partitionOf(index);
    const kind = kindOf(index);
    // By its key a reject is found again, whatever its value is.
    const badKey = () => Buffer.from(`bad-${index}`);
    if (kind === "bad") {
      const { reason, value } = BAD_RECORDS[Math.floor(index / 100) % BAD_RECORDS.length]?.(index) ??
        missing();
      return { index, partition, key: badKey(), value, fate: { reject: reason } };
    }
    if (kind === "conflict") {
      const original = this.readingOf(conflicted(index));
      const heartRate = original.heartRate === LIMITS.minBpm ? LIMITS.maxBpm : original.heartRate - 1;
      const value = json({ ...original, heartRate });
      return { index, partition, key: badKey(), value, fate: { reject: "conflicting_duplicate" } };
    }
    const row = kind === "repeat" ? repeated(index) : index;
    const reading = this.readingOf(row);
    // Every eighth has no key, as some clients' records.
    const key = index % 8 === 0 ? null : Buffer.from(reading.customerId.padEnd(this.#keyLength));
    return { index, partition, key, value: json(reading), fate: { row } };
  }

  /** What a good or late record's row holds. */
  readingOf(index: number): ChaosReading {
    const second = FIRST_SECOND + Math.floor(index / READINGS_PER_SECOND) -
      (kindOf(index) === "late" ? LATE_SECONDS : 0);
    const chance = scattered(this.#seed + 1, index);
    const heartRate = LIMITS.minBpm + chance % (LIMITS.maxBpm - LIMITS.minBpm + 1);
    return {
      customerId: `${this.#prefix}-${(chance >>> 8) % CUSTOMERS}`,
      micros: second * MICROS + index % MICROS,
      heartRate,
      anomaly: anomalyOf(heartRate, LIMITS),
    };
  }

  /** Whose row this instant is; undefined when none has it. */
  static indexOf(micros: number): number | undefined {
    const second = Math.floor(micros / MICROS) - FIRST_SECOND;
    const rest = micros % MICROS;
    for (const late of [false, true]) {
      const first = (second + (late ? LATE_SECONDS : 0)) * READINGS_PER_SECOND;
      if (first < 0) continue;
      const index = first + ((rest - first) % MICROS + MICROS) % MICROS;
      if (index >= first + READINGS_PER_SECOND) continue;
      const kind = kindOf(index);
      if (late ? kind === "late" : kind === "good") return index;
    }
    return undefined;
  }

  /** Microseconds since the Unix epoch at which a second of the measured time begins. */
  static microsOfSecond(second: number): number {
    return (FIRST_SECOND + second) * MICROS;
  }
}

function json({ customerId, micros, heartRate }: ChaosReading): Buffer {
  const time = new Date(Math.floor(micros / MICROS) * 1000).toISOString().slice(0, 19);
  const fraction = String(micros % MICROS).padStart(6, "0");
  return Buffer.from(
    `{"customer_id":"${customerId}","timestamp":"${time}.${fraction}Z","heart_rate":${heartRate}}`,
  );
}

function missing(): never {
  throw new TypeError("there is no bad record");
}

/** A number from 0 to 2^32 - 1 that belongs to two numbers, without a state in between. */
function scattered(seed: number, index: number): number {
  let mixed = Math.imul(index ^ seed, 0x9e3779b1) ^ (index >>> 15);
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return (mixed ^ (mixed >>> 16)) >>> 0;
}
