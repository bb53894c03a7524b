import { strictEqual } from "node:assert";
import type { Place } from "../../lab/place.ts";

export const DAY_MS = 86_400_000;

export function daysAgo(days: number): string {
  return new Date(Date.now() - days * DAY_MS).toISOString();
}

/** @returns the number of readings in each day partition and in the default partition, by name */
export async function rowsByPartition(place: Place): Promise<Record<string, number>> {
  const rows = await place.sql<{ name: string; count: number }>(
    "select tableoid::regclass::text as name, count(*)::int as count from public.heartbeats group by 1 order by 1",
  );
  return Object.fromEntries(rows.map(({ name, count }) => [name, count]));
}

/** Creates the schema and reads no records. */
export async function migrateDatabase(place: Place): Promise<void> {
  strictEqual(await place.consumer({ args: ["--migrate-only"] }).exitCode(), 0);
}

/** @param when names the moment of the test in the error message */
export async function assertAccountedFor(place: Place, when = "now"): Promise<void> {
  const { code, output } = await place.run("reconcile");
  strictEqual(code, 0, `${when}: ${output}`);
}
