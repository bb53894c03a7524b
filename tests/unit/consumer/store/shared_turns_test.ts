import type { LedgerRow } from "../../../../workers/consumer/kafka_partition/partition.ts";
import { deepStrictEqual, rejects, strictEqual } from "node:assert";
import { SharedTurns, type Turn } from "../../../../workers/consumer/store/shared_turns.ts";
import type { WriteRequest } from "../../../../workers/consumer/store/batch.ts";
import { eventually } from "../../../../lab/eventually.ts";

const DONE = { kind: "stale", nextOffset: 0 } as const;

/** What was executed, by the ids of the ledgers; settled by the test. */
class Executions {
  readonly all: (readonly WriteRequest[])[] = [];
  #held: (() => void)[] = [];
  hold = false;

  readonly execute = async (requests: readonly WriteRequest[]) => {
    this.all.push(requests);
    if (this.hold) await new Promise<void>((resolve) => this.#held.push(resolve));
    for (const { resolve } of requests) resolve(DONE);
  };

  release(): void {
    for (const go of this.#held.splice(0)) go();
  }

  get ids(): number[][] {
    return this.all.map((requests) => requests.map(({ ledger }) => ledger.id));
  }
}

function write(turn: Turn, id: number, alone = false): Promise<unknown> {
  const work = () => Promise.reject(new Error("nobody executes it"));
  return turn.write({ ledger: { id } as LedgerRow, from: 0, records: 10, work, alone });
}

Deno.test("attempts that come together are executed together, each with its own answer", async () => {
  const executions = new Executions();
  const turns = new SharedTurns(4, executions.execute);
  const answers = [1, 2, 3].map((id) => turns.take(() => 10, (turn) => write(turn, id)));
  deepStrictEqual(await Promise.all(answers), [DONE, DONE, DONE]);
  deepStrictEqual(executions.ids, [[1, 2, 3]]);
});

Deno.test("few records that come while a turn is under way gather, though connections are free", async () => {
  const executions = new Executions();
  executions.hold = true;
  const turns = new SharedTurns(4, executions.execute);
  const first = turns.take(() => 10, (turn) => write(turn, 1));
  await eventually("the first", () => executions.all.length === 1);
  executions.hold = false;
  const later = [2, 3].map((id) => turns.take(() => 10, (turn) => write(turn, id)));
  executions.release();
  await Promise.all([first, ...later]);
  deepStrictEqual(executions.ids, [[1], [2, 3]]);
});

Deno.test("many records take another turn at once, each long batch one for itself, and no more than there are", async () => {
  const executions = new Executions();
  executions.hold = true;
  const turns = new SharedTurns(2, executions.execute);
  const all = [1, 2, 3].map((id) => turns.take(() => 5_000, (turn) => write(turn, id)));
  await eventually("two of them", () => executions.all.length === 2);
  deepStrictEqual(executions.ids, [[1], [2]]);
  executions.hold = false;
  executions.release();
  await Promise.all(all);
  deepStrictEqual(executions.ids, [[1], [2], [3]]);
});

Deno.test("a turn that is stuck keeps nobody who finds a free connection", async () => {
  const executions = new Executions();
  executions.hold = true;
  const turns = new SharedTurns(2, executions.execute);
  const stuck = turns.take(() => 1, (turn) => write(turn, 1));
  await eventually("the first", () => executions.all.length === 1);
  executions.hold = false;
  deepStrictEqual(await turns.take(() => 1, (turn) => write(turn, 2)), DONE);
  executions.release();
  await stuck;
});

Deno.test("one that gives up, or fails, before it writes holds the others of its turn back for nothing", async () => {
  const executions = new Executions();
  const turns = new SharedTurns(1, executions.execute);
  const writing = turns.take(() => 1, (turn) => write(turn, 1));
  const gaveUp = turns.take(() => 1, () => Promise.resolve("gave up"));
  const failed = turns.take(() => 1, () => Promise.reject(new Error("no plan")));
  await rejects(failed, /no plan/);
  strictEqual(await gaveUp, "gave up");
  strictEqual(await writing, DONE);
});

Deno.test("one that writes again in the same turn is executed after the others, and then the next turn begins", async () => {
  const executions = new Executions();
  const turns = new SharedTurns(1, executions.execute);
  const twice = turns.take(() => 1, async (turn) => {
    await write(turn, 1);
    return await write(turn, 1, true);
  });
  const once = turns.take(() => 1, (turn) => write(turn, 2));
  await Promise.all([twice, once]);
  await turns.take(() => 1, (turn) => write(turn, 3));
  deepStrictEqual(executions.ids, [[1, 2], [1], [3]]);
});

Deno.test("who comes when all connections are free again is not kept by the patience of those before", async () => {
  const executions = new Executions();
  executions.hold = true;
  const turns = new SharedTurns(2, executions.execute);
  const first = turns.take(() => 1, (turn) => write(turn, 1));
  await eventually("the first", () => executions.all.length === 1);
  executions.hold = false;
  // A look at the queue is planned for the end of its patience, and still is when it has had its turn.
  const second = turns.take(() => 1, (turn) => write(turn, 2));
  await new Promise((resolve) => setTimeout(resolve, 2));
  executions.release();
  await Promise.all([first, second]);

  const original = globalThis.setTimeout;
  const delays: unknown[] = [];
  globalThis.setTimeout = ((run: () => void, ms?: number) => {
    delays.push(ms);
    return original(run, ms);
  }) as typeof setTimeout;
  const third = turns.take(() => 1, (turn) => write(turn, 3));
  globalThis.setTimeout = original;
  deepStrictEqual(delays, [0]);
  await third;
});

Deno.test("with little to write, a turn does not follow the one before at once, and takes what came meanwhile", async () => {
  const executions = new Executions();
  const turns = new SharedTurns(2, executions.execute, 500);
  await turns.take(() => 1, (turn) => write(turn, 1));
  const second = turns.take(() => 1, (turn) => write(turn, 2));
  // Time enough for a turn that begins at once.
  await new Promise((resolve) => setTimeout(resolve, 10));
  await Promise.all([second, turns.take(() => 1, (turn) => write(turn, 3))]);
  deepStrictEqual(executions.ids, [[1], [2, 3]]);
});

Deno.test("what an attempt would write is counted when a turn begins, not when it was asked for", async () => {
  const executions = new Executions();
  const turns = new SharedTurns(2, executions.execute);
  let records = 1;
  const grown = turns.take(() => records, (turn) => write(turn, 1));
  const other = turns.take(() => 3_000, (turn) => write(turn, 2));
  records = 3_000;
  await Promise.all([grown, other]);
  deepStrictEqual(executions.ids, [[1], [2]], "together they are too many for one");
});
