/** A backlog to disturb a consumer with: seeded, with bad records in between. */
import { bad, type Intended, reading } from "../support/judge.ts";

export { seeded } from "../../chaos/faults/schedule.ts";

const BAD: readonly ((index: number, partition: number) => Intended)[] = [
  (index, partition) => bad("invalid_json", `{"customer_id": ${index}`, { key: `bad-${index}`, partition }),
  (_, partition) => bad("tombstone", null, { key: "nobody", partition }),
  (index, partition) => bad("invalid_utf8", new Uint8Array([0x22, 0xff, index % 256]), { partition }),
  (index, partition) => {
    const value = { customer_id: `c-${index}`, timestamp: "2026-07-14T00:00:00Z", heart_rate: 300 };
    return bad("heart_rate_out_of_range", value, { partition });
  },
];

/**
 * @param from index of the first; the same index is the same record
 * @returns records of which 1 % are bad and 1 % repeat an earlier one of the same partition
 */
export function backlog(from: number, count: number, partitions: number): Intended[] {
  return Array.from({ length: count }, (_, at) => {
    const index = from + at;
    const partition = index % partitions;
    if (index % 100 === 37) {
      return BAD[(index - 37) / 100 % BAD.length]?.(index, partition) ?? good(index, partition);
    }
    if (index % 100 === 91) return good(index - partitions, partition);
    return good(index, partition);
  });
}

function good(index: number, partition: number): Intended {
  const second = Date.UTC(2026, 0, 1) + Math.floor(index / 50) * 1000;
  // Microseconds too, so that they are compared.
  const timestamp = new Date(second).toISOString().replace(
    ".000Z",
    `.${String(index % 1e6).padStart(6, "0")}Z`,
  );
  return reading(`c-${index % 50}`, timestamp, 50 + index % 120, { partition });
}
