import { deepStrictEqual, ok, strictEqual } from "node:assert";
import type { Database } from "../../../workers/_shared/postgres.ts";
import { DayPartitions } from "../../../workers/consumer/day_partitions.ts";

/** A database that remembers for which days it was asked. */
function asked(): { days: string[]; partitions: DayPartitions } {
  const days: string[] = [];
  const query = (_sql: string, [at]: readonly unknown[] = []) => {
    days.push(String(at).slice(0, 10));
    return Promise.resolve([{ made: null }]);
  };
  const database = { query } as unknown as Database;
  return { days, partitions: new DayPartitions(database, { onMade: () => {}, onFailure: () => {} }) };
}

Deno.test("a batch with readings of thousands of days waits for a few partitions only; the others are made later", async () => {
  const { days, partitions } = asked();
  const all = Array.from({ length: 1_000 }, (_, index) => index * 73);
  await partitions.prepare(all);
  ok(days.length <= 32, `${days.length} asked for at once`);
  await partitions.prepare(all);
  ok(days.length <= 32, "what was put off is not asked for with every batch");
  for (let round = 0; round < 40; round++) await partitions.retryFailed();
  strictEqual(new Set(days).size, 1_000);
});

Deno.test("a day that has its partition is asked for once", async () => {
  const { days, partitions } = asked();
  await partitions.prepare([20_000, 20_001]);
  await partitions.prepare([20_000, 20_001]);
  deepStrictEqual(days, ["2024-10-04", "2024-10-05"]);
});
