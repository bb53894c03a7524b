/** Days of the past in a test's database, and whether all that was stored of them is accounted for. */
import { strictEqual } from "node:assert";
import type { Place } from "../../lab/place.ts";

export const DAY_MS = 86_400_000;

export function daysAgo(days: number): string {
  return new Date(Date.now() - days * DAY_MS).toISOString();
}

/** Makes the tables, and consumes nothing. */
export async function migrateDatabase(place: Place): Promise<void> {
  strictEqual(await place.consumer({ args: ["--migrate-only"] }).exitCode(), 0);
}

export async function assertAccountedFor(place: Place, when = "now"): Promise<void> {
  const { code, output } = await place.run("reconcile");
  strictEqual(code, 0, `${when}: ${output}`);
}
