/** Which partitions are asked for, and when nobody asks. */
import { deepStrictEqual, ok, strictEqual } from "node:assert";
import type { Database } from "../../../../workers/_shared/postgres.ts";
import { DayPartitions } from "../../../../workers/consumer/day_partitions/day_partitions.ts";

const MADE = [{ name: "heartbeats_d20240101", covered: false }];

/** A database that remembers for which days it was asked. */
function asked(answer: unknown[] = MADE) {
  const days: string[] = [];
  const failures: string[] = [];
  const query = (_sql: string, [at]: readonly unknown[] = []) => {
    days.push(String(at).slice(0, 10));
    return Promise.resolve(answer);
  };
  const ports = {
    tablePartitionMade: () => {},
    tablePartitionFailed: (_error: unknown, day: string) => failures.push(day),
  };
  return { days, failures, partitions: new DayPartitions({ query } as unknown as Database, ports) };
}

Deno.test("a batch with readings of thousands of days waits for a few partitions only", async () => {
  const { days, partitions } = asked();
  const all = Array.from({ length: 1_000 }, (_, index) => index * 73);
  await partitions.prepare(all, () => {});
  ok(days.length <= 32, `${days.length} asked for at once`);
  await partitions.prepare(all, () => {});
  ok(days.length <= 32, "what was put off is not asked for with every batch");
});

Deno.test("a day that the database makes no partition for does not count as made, and is told of once", async () => {
  const { days, failures, partitions } = asked([{ name: null, covered: false }]);
  await partitions.prepare([20_000], () => {});
  ok(await partitions.makeAhead(20_000 * 86_400_000) !== undefined);
  deepStrictEqual(days, ["2024-10-04", "2024-10-04"]);
  deepStrictEqual(failures, ["2024-10-04"]);
});

Deno.test("a day that has its partition is asked for once", async () => {
  const { days, partitions } = asked();
  await partitions.prepare([20_000, 20_001], () => {});
  await partitions.prepare([20_000, 20_001], () => {});
  deepStrictEqual(days, ["2024-10-04", "2024-10-05"]);
});

/** A database in which somebody, such as a dump, holds the table: each question waits, and gets no lock. */
function locked() {
  const held = { now: 0, by: true, asked: 0, failures: 0, misplaced: [] as number[] };
  const query = (sql: string) => {
    if (sql.includes("heartbeats_without_partition")) {
      return Promise.resolve(held.misplaced.slice(0, 32).map((day) => ({ day, at: "" })));
    }
    held.asked++;
    if (!held.by) {
      held.misplaced.shift();
      return Promise.resolve(MADE);
    }
    held.now += 2_000;
    return Promise.reject(
      Object.assign(new Error("canceling statement due to lock timeout"), { code: "55P03" }),
    );
  };
  const partitions = new DayPartitions(
    { query } as unknown as Database,
    { tablePartitionMade: () => {}, tablePartitionFailed: () => held.failures++ },
    () => held.now,
  );
  return { held, partitions };
}

const DAYS = Array.from({ length: 40 }, (_, index) => 20_000 + index);

Deno.test("while a dump holds the table a batch waits for one day's lock and not for each of its days", async () => {
  const { held, partitions } = locked();
  await partitions.prepare(DAYS, () => {});
  ok(held.now <= 6_000, `${held.now} ms`);
  strictEqual(held.failures, 1);
  const before = held.asked;
  await partitions.prepare(DAYS.map((day) => day + 100), () => {});
  strictEqual(held.asked, before, "nor does the next batch, with other days");
  held.misplaced = Array.from({ length: 80 }, (_, index) => 20_000 + index);
  ok(await partitions.emptyDefault() !== undefined);
  strictEqual(held.asked, before + 1, "one try at each round");
  held.by = false;
  strictEqual(await partitions.emptyDefault(), undefined);
  strictEqual(held.asked, before + 1 + 80, "all that is in the default is moved when it is over");
});

Deno.test("a batch makes partitions for some seconds and no longer, and it is seen that it gets on", async () => {
  let now = 0;
  let marked = 0;
  let longestMs = 0;
  const mark = () => {
    longestMs = Math.max(longestMs, now - marked);
    marked = now;
  };
  const query = () => {
    now += 1_500;
    return Promise.resolve(MADE);
  };
  const ports = { tablePartitionMade: () => {}, tablePartitionFailed: () => {} };
  const partitions = new DayPartitions({ query } as unknown as Database, ports, () => now);
  await partitions.prepare(DAYS, mark);
  ok(now <= 6_500, `${now} ms`);
  strictEqual(longestMs, 1_500);
  strictEqual(marked, now);
});
