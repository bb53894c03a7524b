import type { PlannedBatch } from "../../../../workers/consumer/store/batch.ts";
import { deepStrictEqual, rejects, strictEqual } from "node:assert";
import { type Candidate, GroupCommit } from "../../../../workers/consumer/store/group_commit.ts";
import { eventually } from "../../../../lab/eventually.ts";

const DONE = { kind: "offset mismatch", nextOffset: 0 } as const;

/** Records the ledger ids of each transaction's batches. While `hold` is set, a transaction waits for `release()`. */
class Commits {
  readonly ids: string[] = [];
  #held: (() => void)[] = [];
  hold = false;

  readonly writeGroup = async (batches: readonly PlannedBatch[]) => {
    await this.#commit(batches.map(({ ledger }) => ledger.id).join(" and "));
    return batches.map(() => DONE);
  };

  readonly writeChecked = async ({ ledger }: PlannedBatch) => {
    await this.#commit(`${ledger.id} checked`);
    return DONE;
  };

  async #commit(what: string): Promise<void> {
    this.ids.push(what);
    if (this.hold) await new Promise<void>((resolve) => this.#held.push(resolve));
  }

  release(): void {
    this.hold = false;
    for (const resolve of this.#held.splice(0)) resolve();
  }
}

function batch(id: number, records = 10, others: Partial<Candidate> = {}): Candidate {
  return {
    records: () => records,
    begin: () => Promise.resolve({ ledger: { id } } as PlannedBatch),
    insertMode: "grouped",
    ...others,
  };
}

/** Creates a group commit with batch 1 in flight. */
async function oneInFlight(maxInFlight: number) {
  const commits = new Commits();
  commits.hold = true;
  const groupCommit = new GroupCommit(maxInFlight, commits);
  const first = groupCommit.write(batch(1));
  await eventually("the first transaction", () => commits.ids.length === 1);
  return { commits, groupCommit, first };
}

Deno.test("a group commit writes batches that arrive together in one transaction, each with its own outcome", async () => {
  const commits = new Commits();
  const groupCommit = new GroupCommit(4, commits);
  const outcomes = [1, 2, 3].map((id) => groupCommit.write(batch(id)));
  deepStrictEqual(await Promise.all(outcomes), [DONE, DONE, DONE]);
  deepStrictEqual(commits.ids, ["1 and 2 and 3"]);
});

Deno.test("a group commit collects small batches while a transaction is in flight, even if connections are free", async () => {
  const { commits, groupCommit, first } = await oneInFlight(4);
  const later = [2, 3].map((id) => groupCommit.write(batch(id)));
  commits.release();
  await Promise.all([first, ...later]);
  deepStrictEqual(commits.ids, ["1", "2 and 3"]);
});

Deno.test("a group commit starts another transaction at once for many records, up to the maximum in flight", async () => {
  const { commits, groupCommit, first } = await oneInFlight(2);
  const later = [2, 3].map((id) => groupCommit.write(batch(id, 50_000)));
  await eventually("two of them", () => commits.ids.length === 2);
  deepStrictEqual(commits.ids, ["1", "2"]);
  commits.release();
  await Promise.all([first, ...later]);
  deepStrictEqual(commits.ids, ["1", "2", "3"]);
});

Deno.test("a lower maximum in flight applies from the next transaction on", async () => {
  const { commits, groupCommit, first } = await oneInFlight(2);
  groupCommit.maxInFlight = 1;
  const second = groupCommit.write(batch(2, 50_000));
  await new Promise((resolve) => setTimeout(resolve, 10));
  deepStrictEqual(commits.ids, ["1"]);
  commits.release();
  await Promise.all([first, second]);
});

Deno.test("a batch does not wait for a stuck transaction if a connection is free", async () => {
  const { commits, groupCommit, first } = await oneInFlight(2);
  commits.hold = false;
  deepStrictEqual(await groupCommit.write(batch(2)), DONE);
  commits.release();
  await first;
});

Deno.test("a group commit writes the rest of a group if one batch is abandoned or cannot be planned", async () => {
  const commits = new Commits();
  const groupCommit = new GroupCommit(1, commits);
  const writing = groupCommit.write(batch(1));
  const gaveUp = groupCommit.write(batch(2, 10, { begin: () => Promise.resolve(undefined) }));
  const failed = groupCommit.write(batch(3, 10, { begin: () => Promise.reject(new Error("no plan")) }));
  await rejects(failed, /no plan/);
  strictEqual(await gaveUp, undefined);
  strictEqual(await writing, DONE);
  deepStrictEqual(commits.ids, ["1"]);
});

Deno.test("a group commit writes a single or checked batch in a separate transaction, at any position in the queue", async () => {
  const commits = new Commits();
  const groupCommit = new GroupCommit(1, commits);
  const modes = ["grouped", "single", "grouped", "grouped", "checked", "grouped"] as const;
  await Promise.all(modes.map((insertMode, id) => groupCommit.write(batch(id, 10, { insertMode }))));
  deepStrictEqual(commits.ids, ["0", "1", "2 and 3", "4 checked", "5"]);
});

Deno.test("a failed transaction fails for each of its batches, and the next transaction starts", async () => {
  const commits = new Commits();
  const groupCommit = new GroupCommit(1, {
    ...commits,
    writeGroup: () => Promise.reject(new Error("repeated")),
    writeChecked: commits.writeChecked,
  });
  await Promise.all([1, 2].map((id) => rejects(groupCommit.write(batch(id)), /repeated/)));
  strictEqual(await groupCommit.write(batch(3, 10, { insertMode: "checked" })), DONE);
});

Deno.test("a group commit starts at once for a batch that arrives when all connections are free again", async () => {
  const { commits, groupCommit, first } = await oneInFlight(2);
  const second = groupCommit.write(batch(2));
  await new Promise((resolve) => setTimeout(resolve, 2));
  // The timer that was set for batch 2 still runs after batch 2 is written.
  commits.release();
  await Promise.all([first, second]);

  // Batch 3 must replace this timer with one that fires at once.
  const original = globalThis.setTimeout;
  const delays: unknown[] = [];
  globalThis.setTimeout = ((run: () => void, ms?: number) => {
    delays.push(ms);
    return original(run, ms);
  }) as typeof setTimeout;
  const third = groupCommit.write(batch(3));
  globalThis.setTimeout = original;
  deepStrictEqual(delays, [0]);
  await third;
});

Deno.test("a group commit delays a small transaction after the previous one and adds the batches that arrive meanwhile", async () => {
  const commits = new Commits();
  const groupCommit = new GroupCommit(2, commits, 500);
  await groupCommit.write(batch(1));
  const second = groupCommit.write(batch(2));
  await new Promise((resolve) => setTimeout(resolve, 10));
  await Promise.all([second, groupCommit.write(batch(3))]);
  deepStrictEqual(commits.ids, ["1", "2 and 3"]);
});

Deno.test("a group commit counts the records of a batch when a transaction starts, not when the batch arrives", async () => {
  const commits = new Commits();
  const groupCommit = new GroupCommit(2, commits);
  let records = 1;
  const grown = groupCommit.write(batch(1, 0, { records: () => records }));
  const other = groupCommit.write(batch(2, 30_000));
  records = 30_000;
  await Promise.all([grown, other]);
  deepStrictEqual(commits.ids, ["1", "2"], "one transaction must not take so many records");
});
