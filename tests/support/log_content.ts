import { type IntendedReading, reading } from "./judge.ts";
import type { Place } from "../../lab/place.ts";

export function secondsOf(customer: string, count: number, partition = 0): IntendedReading[] {
  return Array.from({ length: count }, (_, index) => {
    const timestamp = new Date(Date.UTC(2026, 6, 14) + index * 1000).toISOString();
    return reading(customer, timestamp, 60 + index % 60, { partition });
  });
}

/** @returns gaps as "partition: from to next cause" */
export async function gapsOf(place: Place): Promise<string[]> {
  const rows = await place.sql<{ gap: string }>(
    `select kafka_partition || ': ' || from_offset || ' to ' || to_offset || ' ' || cause as gap
       from public.ingest_gaps join public.ingest_offsets on id = ledger_id
      order by kafka_partition, from_offset`,
  );
  return rows.map(({ gap }) => gap);
}
