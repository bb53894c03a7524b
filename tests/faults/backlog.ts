import { bad, type Intended, reading } from "../support/judge.ts";

export { seeded } from "../../chaos/faults/schedule.ts";

const BAD_RECORDS: readonly ((index: number, partition: number) => Intended)[] = [
  (index, partition) => bad("invalid_json", `{"customer_id": ${index}`, { key: `bad-${index}`, partition }),
  (_, partition) => bad("tombstone", null, { key: "nobody", partition }),
  (index, partition) => bad("invalid_utf8", new Uint8Array([0x22, 0xff, index % 256]), { partition }),
  (index, partition) => {
    const value = { customer_id: `c-${index}`, timestamp: "2026-07-14T00:00:00Z", heart_rate: 300 };
    return bad("heart_rate_out_of_range", value, { partition });
  },
];

/**
 * Creates each record from its index. 1 % of the records are bad. 1 % repeat an earlier record of their partition.
 *
 * @param from index of the first record
 */
export function backlog(from: number, count: number, partitions: number): Intended[] {
  return Array.from({ length: count }, (_, position) => {
    const index = from + position;
    const partition = index % partitions;
    if (index % 100 === 37) {
      return BAD_RECORDS[(index - 37) / 100 % BAD_RECORDS.length]?.(index, partition) ??
        goodRecord(index, partition);
    }
    if (index % 100 === 91) return goodRecord(index - partitions, partition);
    return goodRecord(index, partition);
  });
}

function goodRecord(index: number, partition: number): Intended {
  // With microseconds, the test detects a loss of precision.
  const second = Date.UTC(2026, 0, 1) + Math.floor(index / 50) * 1000;
  const timestamp = new Date(second).toISOString().replace(
    ".000Z",
    `.${String(index % 1e6).padStart(6, "0")}Z`,
  );
  return reading(`c-${index % 50}`, timestamp, 50 + index % 120, { partition });
}
