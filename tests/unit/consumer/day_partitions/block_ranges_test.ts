import { deepStrictEqual } from "node:assert";
import { BlockRanges } from "../../../../workers/consumer/day_partitions/block_ranges.ts";
import type { Database, Row } from "../../../../workers/_shared/postgres.ts";

type Call = readonly [partition: number, from: number];

/** A database with partitions of so many blocks, that sums up all that it is asked to unless it is told otherwise. */
function fakeDatabase(blocks: Record<number, number>) {
  const calls: Call[] = [];
  const state = { looks: 0, calls, away: false, refused: new Map<number, Error>() };
  const query = (sql: string, parameters: readonly unknown[] = []) => {
    if (state.away) return Promise.reject(new Error("Connection terminated"));
    if (sql.includes("pg_inherits")) {
      state.looks++;
      const rows = Object.entries(blocks).map(([partition, size]) => ({
        partition: Number(partition),
        blocks: String(size),
      }));
      return Promise.resolve<Row[]>(rows);
    }
    const [partition, from] = parameters as unknown as Call;
    calls.push([partition, from]);
    const refused = state.refused.get(partition);
    if (refused !== undefined) return Promise.reject(refused);
    return Promise.resolve<Row[]>([{ next: String(Math.floor((blocks[partition] ?? 0) / 32) * 32) }]);
  };
  return { state, database: { query } as unknown as Database };
}

const NO_TELEMETRY = { summaryFailed: () => {} };
const GOES_ON = new AbortController().signal;

Deno.test("partitions that do not grow are left alone, and one that grows is summed up as a whole once, then by what is new", async () => {
  const blocks: Record<number, number> = { 1: 1_000, 2: 5_000 };
  const { state: { calls }, database } = fakeDatabase(blocks);
  const ranges = new BlockRanges({ database, telemetry: NO_TELEMETRY });
  const grow = async (partition: number, by: number) => {
    blocks[partition] = (blocks[partition] ?? 0) + by;
    ranges.written();
    await ranges.round(GOES_ON);
  };
  await ranges.round(GOES_ON);
  await grow(2, 31);
  deepStrictEqual(calls, [], "less than a range");
  await grow(2, 1);
  await grow(2, 100);
  deepStrictEqual(calls, [[2, 0], [2, 5_024]]);
  await grow(3, 40);
  await grow(3, 24);
  deepStrictEqual(calls.slice(2), [[3, 0], [3, 32]], "one that was made meanwhile");
  await grow(2, -3_000);
  deepStrictEqual(calls.slice(4), [[2, 0]], "one that is another than it was");
});

Deno.test("while nothing is written nobody is asked", async () => {
  const { state, database } = fakeDatabase({ 1: 10 });
  const ranges = new BlockRanges({ database, telemetry: NO_TELEMETRY });
  for (let round = 0; round < 5; round++) await ranges.round(GOES_ON);
  deepStrictEqual(state.looks, 1);
  ranges.written();
  for (let round = 0; round < 5; round++) await ranges.round(GOES_ON);
  deepStrictEqual(state.looks, 2);
});

Deno.test("a partition whose summary is refused is told of once in five minutes, and holds no other up", async () => {
  const blocks: Record<number, number> = { 1: 0, 2: 0 };
  const { state, database } = fakeDatabase(blocks);
  const failures: unknown[] = [];
  let now = 0;
  const ranges = new BlockRanges(
    { database, telemetry: { summaryFailed: (error) => failures.push(error) } },
    () => now,
  );
  await ranges.round(GOES_ON);
  const refused = Object.assign(new Error("permission denied for function"), { code: "42501" });
  state.refused.set(1, refused);
  for (; now < 299_000; now += 1_000) {
    blocks[1] = blocks[2] = now / 1_000 * 32;
    ranges.written();
    await ranges.round(GOES_ON);
  }
  deepStrictEqual(failures, [refused]);
  deepStrictEqual(state.calls.filter(([partition]) => partition === 2).length, 298);
  state.refused.clear();
  now = 301_000;
  await ranges.round(GOES_ON);
  deepStrictEqual(state.calls.at(-1), [1, 0], "also when nothing more was written");
});

Deno.test("of a server that is away, and of a lost race, nothing is said, and both are tried again", async () => {
  const blocks = { 1: 0 };
  const { state, database } = fakeDatabase(blocks);
  const failures: unknown[] = [];
  const ranges = new BlockRanges({
    database,
    telemetry: { summaryFailed: (error) => failures.push(error) },
  });
  await ranges.round(GOES_ON);
  blocks[1] = 64;
  ranges.written();
  state.away = true;
  await ranges.round(GOES_ON);
  state.away = false;
  state.refused.set(1, Object.assign(new Error("lock timeout"), { code: "55P03" }));
  await ranges.round(GOES_ON);
  state.refused.clear();
  await ranges.round(GOES_ON);
  deepStrictEqual([failures, state.calls], [[], [[1, 0], [1, 0]]]);
});

Deno.test("a stop does not wait for a summary that is under way", async () => {
  const stop = new AbortController();
  const never = new Promise<never>(() => {});
  const ranges = new BlockRanges({
    database: { query: () => never } as unknown as Database,
    telemetry: NO_TELEMETRY,
  });
  const kept = ranges.keep({ signal: stop.signal });
  stop.abort();
  await kept;
});
