import { Buffer } from "node:buffer";
import type { Limits } from "../../../workers/_shared/record/heartbeat.ts";
import type { Intended } from "../judge.ts";
import { type Verdict, verdictOf } from "../oracle/verdict.ts";
import type { Hostile } from "./records.ts";

type Reading = Extract<Verdict, { kind: "reading" }>;

// If the verdict of a record changes within this time, the record is left out, because the test cannot know when the
// consumer reads it.
const VERDICT_VALID_MS = 3_600_000;

export interface IntendOptions {
  readonly limits: Limits;
  /** Milliseconds since the Unix epoch. */
  readonly nowMs: number;
  readonly partitions: number;
  /** Returns numbers in [0, 1). */
  readonly random: () => number;
}

/**
 * Spreads hostile records over the partitions of a topic, and adds the outcome that the specification demands for each.
 * Repeated readings with different heart rates go to one partition, because the outcome depends on their order.
 */
export function intendedOutcomes(hostile: readonly Hostile[], options: IntendOptions): Intended[] {
  const { limits, nowMs, partitions, random } = options;
  const judged = hostile.flatMap(({ value }) => {
    const verdict = verdictOf(value, limits, nowMs);
    const later = verdictOf(value, limits, nowMs + VERDICT_VALID_MS);
    return verdict.kind === later.kind ? [{ value, verdict }] : [];
  });
  const rates = new Map<string, Set<number>>();
  for (const { verdict } of judged) {
    if (verdict.kind === "reading") {
      rates.set(
        keyOf(verdict),
        rates.get(keyOf(verdict))?.add(verdict.heartRate) ?? new Set([verdict.heartRate]),
      );
    }
  }
  const partitionOfKey = new Map<string, number>();
  const firstRates = new Map<string, number>();
  return judged.map(({ value, verdict }): Intended => {
    const anywhere = Math.floor(random() * partitions);
    const around = { value, key: anyKey(random), ...anyHeaders(random), ...anyTimestamp(random) };
    if (verdict.kind === "reject") {
      return { ...around, partition: anywhere, fate: { reject: verdict.reason } };
    }
    const { customerId, ts, heartRate } = verdict;
    const key = keyOf(verdict);
    if (rates.get(key)?.size === 1) {
      return { ...around, partition: anywhere, fate: "reading", row: { customerId, ts, heartRate } };
    }
    const partition = partitionOfKey.get(key) ?? anywhere;
    partitionOfKey.set(key, partition);
    const kept = firstRates.get(key) ?? heartRate;
    firstRates.set(key, kept);
    if (kept !== heartRate) return { ...around, partition, fate: { reject: "conflicting_duplicate" } };
    return { ...around, partition, fate: "reading", row: { customerId, ts, heartRate } };
  });
}

function keyOf({ customerId, ts }: Reading): string {
  return `${ts} ${customerId}`;
}

function anyKey(random: () => number): Uint8Array | null {
  const which = random();
  if (which < 0.3) return null;
  if (which < 0.4) return new Uint8Array();
  if (which < 0.8) return Buffer.from(`c-${Math.floor(random() * 1_000)}`);
  return anyBytes(random, which > 0.9999 ? 500_000 : 40);
}

function anyHeaders(random: () => number): Pick<Intended, "headers"> {
  if (random() < 0.8) return {};
  const count = 1 + Math.floor(random() * 4);
  const headers = Array.from({ length: count }, () => [anyBytes(random, 12), anyBytes(random, 60)] as const);
  return { headers: new Map([...headers, [Buffer.from("traceparent"), Buffer.alloc(0)]]) };
}

// Kafka timestamps before 1970, before the year 1, and after the year 9999.
const TIMESTAMPS: readonly bigint[] = [
  0n,
  -1n,
  -2n,
  -62_135_596_800_001n,
  253_402_300_800_000n,
  2n ** 53n,
  2n ** 61n,
  -(2n ** 61n),
];

function anyTimestamp(random: () => number): Pick<Intended, "timestampMs"> {
  const timestampMs = random() < 0.05 ? TIMESTAMPS[Math.floor(random() * TIMESTAMPS.length)] : undefined;
  return timestampMs === undefined ? {} : { timestampMs };
}

function anyBytes(random: () => number, maxLength: number): Buffer {
  return Buffer.from(
    Array.from({ length: Math.floor(random() * (maxLength + 1)) }, () => Math.floor(random() * 256)),
  );
}
