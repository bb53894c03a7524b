/** Computes each record from its index, and the index from a row, so the judge does not have to remember the records. */
import { Buffer } from "node:buffer";
import { anomalyOf, type Limits, type RejectReason } from "../../workers/_shared/record/heartbeat.ts";

/** The limits of the consumers under test. They are the default settings. */
export const LIMITS: Limits = {
  minBpm: 30,
  maxBpm: 220,
  lowBpm: 45,
  highBpm: 180,
  maxClockSkewSeconds: 300,
};

/** Indexes are permuted within blocks of this size before they are sent. */
export const BLOCK = 100;
/** Number of readings whose timestamps lie in the same second. The sending rate is independent of it. */
export const READINGS_PER_SECOND = 200;
const FIRST_SECOND = Date.UTC(2026, 0, 1) / 1000;
/**
 * A late reading is older than its neighbours by this time. It is longer than a minute, so late readings change older minutes.
 * It is no multiple of the 5,000 s (MICROS / READINGS_PER_SECOND) after which the microseconds repeat, so no late reading has
 * the timestamp of a good one.
 */
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
  /** `row`: the index whose reading must be stored. This is an earlier index if the record repeats that reading. */
  readonly fate: { readonly row: number } | { readonly reject: RejectReason };
}

export interface RecordsOptions {
  readonly seed: number;
  readonly partitions: number;
  /** Start of each customer id; default `chaos`. */
  readonly prefix?: string;
  /** Shorter keys are padded with spaces, which use memory in the consumer but almost no bytes when compressed. */
  readonly keyLength?: number;
}

export type Kind = "good" | "late" | "repeat" | "conflict" | "bad";

/** The index of each kind of record in its block. `repeated` and `contradicted` are good records that others refer to. */
const IN_BLOCK = { late: 5, bad: 37, repeated: 41, contradicted: 43, conflict: 63, repeat: 91 } as const;

/**
 * 1 % of the records are bad, 1 % are late by an hour, and 1 % repeat an earlier reading. 0.1 % conflict with an earlier reading:
 * they have its customer and timestamp, but another heart rate.
 */
export function kindOf(index: number): Kind {
  const inBlock = index % BLOCK;
  const block = Math.floor(index / BLOCK);
  if (inBlock === IN_BLOCK.bad) return "bad";
  if (inBlock === IN_BLOCK.late) return "late";
  if (inBlock === IN_BLOCK.repeat && repeatOf(index) >= 0) return "repeat";
  if (inBlock === IN_BLOCK.conflict && block % 10 === 4 && conflictOf(index) >= 0) return "conflict";
  return "good";
}

/** Refers to the record `repeated` of a block that is 10, 20 or 30 blocks earlier. */
function repeatOf(index: number): number {
  const blocksBack = 10 * (1 + Math.floor(index / BLOCK) % 3);
  return index - IN_BLOCK.repeat + IN_BLOCK.repeated - blocksBack * BLOCK;
}

/** Refers to the record `contradicted` of the block that is 20 blocks earlier. */
function conflictOf(index: number): number {
  return index - IN_BLOCK.conflict + IN_BLOCK.contradicted - 20 * BLOCK;
}

interface BadRecord {
  readonly reason: RejectReason;
  readonly value: Buffer | null;
}

const TIME = "2026-01-01T00:00:00Z";

function bad(reason: RejectReason, text: (index: number) => string): (index: number) => BadRecord {
  return (index) => ({ reason, value: Buffer.from(text(index)) });
}

/** One function per reject reason. The index makes the value unique if the value can contain it. */
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

  /**
   * Reorders a fifth of each block: positions that end in 3 or 6 change places with their mirror images in the block.
   *
   * @returns the index of the record that is sent at this position
   */
  static indexAt(position: number): number {
    const inBlock = position % BLOCK;
    const digit = inBlock % 10;
    return digit === 3 || digit === 6 ? position - inBlock + (BLOCK - 1 - inBlock) : position;
  }

  /** A conflicting record goes to the partition of its original. In another one it could be stored first. */
  partitionOf(index: number): number {
    const original = kindOf(index) === "conflict" ? conflictOf(index) : index;
    return hash(this.#seed, original) % this.partitions;
  }

  record(index: number): ChaosRecord {
    const partition = this.partitionOf(index);
    const kind = kindOf(index);
    // The judge reads the index of a reject from its key, because some values cannot contain it.
    const badKey = () => Buffer.from(`bad-${index}`);
    if (kind === "bad") {
      const { reason, value } = badRecord(index);
      return { index, partition, key: badKey(), value, fate: { reject: reason } };
    }
    if (kind === "conflict") {
      const original = this.readingOf(conflictOf(index));
      const heartRate = original.heartRate === LIMITS.minBpm ? LIMITS.maxBpm : original.heartRate - 1;
      const value = json({ ...original, heartRate });
      return { index, partition, key: badKey(), value, fate: { reject: "conflicting_duplicate" } };
    }
    const row = kind === "repeat" ? repeatOf(index) : index;
    const reading = this.readingOf(row);
    const key = index % 8 === 0 ? null : Buffer.from(reading.customerId.padEnd(this.#keyLength));
    return { index, partition, key, value: json(reading), fate: { row } };
  }

  /** @param index index of a good or late record */
  readingOf(index: number): ChaosReading {
    const second = FIRST_SECOND + Math.floor(index / READINGS_PER_SECOND) -
      (kindOf(index) === "late" ? LATE_SECONDS : 0);
    const chance = hash(this.#seed + 1, index);
    const heartRate = LIMITS.minBpm + chance % (LIMITS.maxBpm - LIMITS.minBpm + 1);
    return {
      customerId: `${this.#prefix}-${(chance >>> 8) % CUSTOMERS}`,
      micros: second * MICROS + index % MICROS,
      heartRate,
      anomaly: anomalyOf(heartRate, LIMITS),
    };
  }

  /** @returns the index of the good or late record with this timestamp */
  static indexOf(micros: number): number | undefined {
    const second = Math.floor(micros / MICROS) - FIRST_SECOND;
    const rest = micros % MICROS;
    for (const late of [false, true]) {
      const first = (second + (late ? LATE_SECONDS : 0)) * READINGS_PER_SECOND;
      if (first < 0) continue;
      // The microseconds of a timestamp are index % MICROS. This is the lowest such index from `first` on.
      const index = first + ((rest - first) % MICROS + MICROS) % MICROS;
      if (index >= first + READINGS_PER_SECOND) continue;
      const kind = kindOf(index);
      if (late ? kind === "late" : kind === "good") return index;
    }
    return undefined;
  }

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

function badRecord(index: number): BadRecord {
  const create = BAD_RECORDS[Math.floor(index / BLOCK) % BAD_RECORDS.length];
  if (create === undefined) throw new TypeError("BAD_RECORDS is empty");
  return create(index);
}

function hash(seed: number, index: number): number {
  let mixed = Math.imul(index ^ seed, 0x9e3779b1) ^ (index >>> 15);
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return (mixed ^ (mixed >>> 16)) >>> 0;
}
