import { deepStrictEqual } from "node:assert";
import { BlockRanges } from "../../../workers/consumer/block_ranges.ts";
import type { Database, Row } from "../../../workers/_shared/postgres.ts";

type Call = readonly [partition: number, from: number | null];

/** A database with partitions of so many blocks, that sums up all that it is asked to unless it is told otherwise. */
function fakeDatabase(blocks: Record<number, number>) {
  const calls: Call[] = [];
  const state = { looks: 0, calls, locked: false, error: undefined as Error | undefined };
  const query = (sql: string, parameters: readonly unknown[] = []) => {
    if (state.error !== undefined) return Promise.reject(state.error);
    if (sql.includes("pg_inherits")) {
      state.looks++;
      const rows = Object.entries(blocks).map(([partition, size]) => ({
        partition: Number(partition),
        blocks: size,
      }));
      return Promise.resolve<Row[]>(rows);
    }
    const [partition, from] = parameters as unknown as Call;
    calls.push([partition, from]);
    const next = state.locked ? null : Math.floor((blocks[partition] ?? 0) / 32) * 32;
    return Promise.resolve<Row[]>([{ next }]);
  };
  return { state, database: { query } as unknown as Database };
}

const NO_TELEMETRY = { summaryFailed: () => {} };

Deno.test("partitions that do not grow are left alone, and one that grows is summed up as a whole once, then by what is new", async () => {
  const blocks: Record<number, number> = { 1: 1_000, 2: 5_000 };
  const { state: { calls }, database } = fakeDatabase(blocks);
  const ranges = new BlockRanges({ database, telemetry: NO_TELEMETRY });
  const grow = async (partition: number, by: number) => {
    blocks[partition] = (blocks[partition] ?? 0) + by;
    ranges.written();
    await ranges.round();
  };
  await ranges.round();
  await grow(2, 31);
  deepStrictEqual(calls, [], "less than a range");
  await grow(2, 1);
  await grow(2, 100);
  deepStrictEqual(calls, [[2, null], [2, 5_024]]);
  await grow(3, 40);
  await grow(3, 24);
  deepStrictEqual(calls.slice(2), [[3, null], [3, 32]], "one that was made meanwhile");
  await grow(2, -3_000);
  deepStrictEqual(calls.slice(4), [[2, null]], "one that is another than it was");
});

Deno.test("while nothing is written nobody is asked", async () => {
  const { state, database } = fakeDatabase({ 1: 10 });
  const ranges = new BlockRanges({ database, telemetry: NO_TELEMETRY });
  for (let round = 0; round < 5; round++) await ranges.round();
  deepStrictEqual(state.looks, 1);
  ranges.written();
  for (let round = 0; round < 5; round++) await ranges.round();
  deepStrictEqual(state.looks, 2);
});

Deno.test("a partition that somebody has locked is asked for again, also when nothing more is written", async () => {
  const blocks = { 1: 0 };
  const { state, database } = fakeDatabase(blocks);
  const ranges = new BlockRanges({ database, telemetry: NO_TELEMETRY });
  await ranges.round();
  blocks[1] = 64;
  state.locked = true;
  ranges.written();
  await ranges.round();
  await ranges.round();
  state.locked = false;
  await ranges.round();
  await ranges.round();
  deepStrictEqual(state.calls, [[1, null], [1, null], [1, null]]);
});

Deno.test("what is refused is told once in five minutes, and of a server that is away nothing is said", async () => {
  const { state, database } = fakeDatabase({ 1: 10 });
  const failures: unknown[] = [];
  let now = 0;
  const ranges = new BlockRanges(
    { database, telemetry: { summaryFailed: (error) => failures.push(error) } },
    () => now,
  );
  state.error = new Error("Connection terminated");
  await ranges.round();
  deepStrictEqual(failures, []);
  const refused = Object.assign(new Error("permission denied for function"), { code: "42501" });
  state.error = refused;
  for (; now < 299_000; now += 1_000) {
    ranges.written();
    await ranges.round();
  }
  deepStrictEqual(failures, [refused]);
  now = 300_000;
  await ranges.round();
  deepStrictEqual(failures, [refused, refused]);
});
