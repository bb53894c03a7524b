import { deepStrictEqual, ok, strictEqual } from "node:assert";
import type { Database } from "../../../../workers/_shared/postgres.ts";
import { DayPartitions } from "../../../../workers/consumer/day_partitions/day_partitions.ts";

const MADE = [{ name: "heartbeats_d20240101", covered: false }];

/** Creates a database that records the days for which it is asked to create a day partition. */
function recordingDatabase(answer: unknown[] = MADE) {
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

Deno.test("a batch with readings of a thousand days waits for at most 32 day partitions", async () => {
  const { days, partitions } = recordingDatabase();
  const all = Array.from({ length: 1_000 }, (_, index) => index * 73);
  await partitions.prepare(all, () => {});
  ok(days.length <= 32, `the batch waited for ${days.length} day partitions`);
  await partitions.prepare(all, () => {});
  ok(days.length <= 32, "the next batch did not ask again for the postponed days");
});

Deno.test("DayPartitions asks again for a day if its partition was not created, and reports this once", async () => {
  const { days, failures, partitions } = recordingDatabase([{ name: null, covered: false }]);
  await partitions.prepare([20_000], () => {});
  ok(await partitions.makeAhead(20_000 * 86_400_000) !== undefined);
  deepStrictEqual(days, ["2024-10-04", "2024-10-04"]);
  deepStrictEqual(failures, ["2024-10-04"]);
});

Deno.test("DayPartitions asks only once for a day that has its partition", async () => {
  const { days, partitions } = recordingDatabase();
  await partitions.prepare([20_000, 20_001], () => {});
  await partitions.prepare([20_000, 20_001], () => {});
  deepStrictEqual(days, ["2024-10-04", "2024-10-05"]);
});

/** Creates a database with a locked table, for example by a dump. Each attempt waits and fails with a lock timeout. */
function createLocked() {
  const state = { now: 0, isLocked: true, asked: 0, failures: 0, misplaced: [] as number[] };
  const query = (sql: string) => {
    if (sql.includes("heartbeats_without_partition")) {
      return Promise.resolve(state.misplaced.slice(0, 32).map((day) => ({ day, at: "" })));
    }
    state.asked++;
    if (!state.isLocked) {
      state.misplaced.shift();
      return Promise.resolve(MADE);
    }
    state.now += 2_000;
    return Promise.reject(
      Object.assign(new Error("canceling statement due to lock timeout"), { code: "55P03" }),
    );
  };
  const partitions = new DayPartitions(
    { query } as unknown as Database,
    { tablePartitionMade: () => {}, tablePartitionFailed: () => state.failures++ },
    () => state.now,
  );
  return { state, partitions };
}

const DAYS = Array.from({ length: 40 }, (_, index) => 20_000 + index);

Deno.test("while the table is locked, a batch waits for the lock of one day and not for each of its days", async () => {
  const { state, partitions } = createLocked();
  await partitions.prepare(DAYS, () => {});
  ok(state.now <= 6_000, `${state.now} ms`);
  strictEqual(state.failures, 1);
  const before = state.asked;
  await partitions.prepare(DAYS.map((day) => day + 100), () => {});
  strictEqual(state.asked, before, "the next batch waited for the lock again");
  state.misplaced = Array.from({ length: 80 }, (_, index) => 20_000 + index);
  ok(await partitions.emptyDefault() !== undefined);
  strictEqual(state.asked, before + 1, "more than one attempt in a round");
  state.isLocked = false;
  strictEqual(await partitions.emptyDefault(), undefined);
  strictEqual(state.asked, before + 1 + 80, "some days stayed in the default partition after the lock ended");
});

Deno.test("a batch spends only a few seconds on creating day partitions, and marks its progress after each", async () => {
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
