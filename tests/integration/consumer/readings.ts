import { type IntendedReading, reading } from "../../support/judge.ts";

/** @returns `count` readings of different customers with the same timestamp, spread evenly over the partitions */
export function readings(prefix: string, count: number, partitions = 1): IntendedReading[] {
  return Array.from({ length: count }, (_, index) => {
    return reading(`${prefix}-${index}`, "2026-07-14T09:30:00Z", 70, { partition: index % partitions });
  });
}
