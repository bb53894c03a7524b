import { AssertionError } from "node:assert";
import { type Intent, judgeEverything } from "../../chaos/judge/everything.ts";
import { differenceOf, type ExpectedReject } from "../../chaos/judge/rejects.ts";
import type { ExpectedRow } from "../../chaos/judge/rows.ts";
import { LIMITS } from "../../chaos/load/records.ts";
import { anomalyOf } from "../../workers/_shared/record/heartbeat.ts";
import { parseInstant } from "../../workers/_shared/record/instant.ts";
import type { Place } from "../../lab/place.ts";
import type { Outgoing, Sent } from "../../lab/produce.ts";

/** A record to publish, and its expected outcome. */
export interface Intended extends Outgoing {
  /** `reading`: stored, or a duplicate of a stored reading. */
  readonly fate: "reading" | { readonly reject: string };
  /** Default: parsed from the value with JSON.parse(). */
  readonly row?: Row;
}

interface Row {
  readonly customerId: string;
  /** Microseconds since the Unix epoch. */
  readonly ts: bigint;
  readonly heartRate: number;
}

export interface JudgeOptions {
  /** The log may hold records twice, because a broker stopped during a request and the client repeated the request. */
  readonly resent?: boolean;
}

export interface IntendedReading extends Intended {
  readonly value: { readonly customer_id: string; readonly timestamp: string; readonly heart_rate: number };
}

export function reading(
  customer_id: string,
  timestamp: string,
  heart_rate: number,
  to: { key?: string | null; partition?: number } = {},
): IntendedReading {
  return { value: { customer_id, timestamp, heart_rate }, fate: "reading", ...to };
}

export function bad(
  reason: string,
  value: Outgoing["value"],
  to: { key?: string | Uint8Array | null; partition?: number } = {},
): Intended {
  return { value, fate: { reject: reason }, ...to };
}

/**
 * Compares the database with the records that were sent. All of them must have been consumed.
 *
 * @param sent every acknowledged record of the place's topic
 * @throws AssertionError that lists each violation with ids
 */
export async function judge(
  place: Pick<Place, "sql">,
  sent: readonly Sent<Intended>[],
  options: JudgeOptions = {},
): Promise<void> {
  const { problems } = await judgeEverything(
    (sql, values) => place.sql(sql, values),
    intentOf(sent, options),
  );
  if (problems.length > 0) throw new AssertionError({ message: problems.join("\n") });
}

function intentOf(sent: readonly Sent<Intended>[], { resent = false }: JudgeOptions): Intent {
  const rows = new Map<string, ExpectedRow>();
  const rejects = new Map<string, ExpectedReject>();
  const acknowledged = new Set<string>();
  let readings = 0;
  for (const one of sent) {
    const { id, partition, key, value, record: { fate } } = one;
    acknowledged.add(id);
    if (fate !== "reading") {
      rejects.set(id, { partition, key, value, reason: fate.reject });
      continue;
    }
    readings++;
    const { customerId, ts, heartRate } = rowOf(one);
    const at = `${customerId} @ ${ts}`;
    const known = rows.get(at);
    rows.set(at, {
      id: known === undefined ? id : `${known.id}, ${id}`,
      customerId,
      micros: ts,
      heartRate: known?.heartRate ?? heartRate,
      anomaly: anomalyOf(known?.heartRate ?? heartRate, LIMITS),
    });
  }
  const duplicates = readings - rows.size;
  return {
    rows: () => [{ due: rows.values(), at: (customerId, micros) => rows.get(`${customerId} @ ${micros}`) }],
    rejects: () => [{
      due: rejects,
      again: (row) =>
        resent && !acknowledged.has(`${row.kafka_partition}:${row.kafka_offset}`)
          ? rejects.values().find((one) => differenceOf(row, one) === undefined)
          : undefined,
    }],
    duplicates: { atLeast: duplicates, atMost: resent ? Infinity : duplicates },
  };
}

function rowOf({ value, record: { row } }: Sent<Intended>): Row {
  if (row !== undefined) return row;
  const { customer_id, timestamp, heart_rate } = JSON.parse(value?.toString() ?? "");
  const ts = parseInstant(timestamp);
  if (typeof ts !== "bigint") throw new TypeError(`the record is not a reading: ${value}`);
  return { customerId: `${customer_id}`, ts, heartRate: heart_rate };
}
