import { strictEqual } from "node:assert";
import { waitWhileMoving } from "../../../chaos/judge/ledger_watch.ts";

const never = new Promise<void>(() => {});
const { signal } = new AbortController();

Deno.test("waitWhileMoving() returns false if the consumers commit nothing for the given time", async () => {
  strictEqual(await waitWhileMoving(never, { next: [] }, { standstillMs: 50, signal }), false);
  strictEqual(await waitWhileMoving(never, { next: [3, 7] }, { standstillMs: 50, signal }), false);
});

Deno.test("waitWhileMoving() waits while the consumers commit, and returns at once when the signal aborts", async () => {
  const watch = { next: [0] };
  const done = Promise.withResolvers<void>();
  const moving = setInterval(() => {
    watch.next = [(watch.next[0] ?? 0) + 1];
    if (watch.next[0] !== 50) return;
    clearInterval(moving);
    done.resolve();
  }, 10);
  strictEqual(await waitWhileMoving(done.promise, watch, { standstillMs: 10_000, signal }), true);
  strictEqual(watch.next[0], 50);
  const aborted = { standstillMs: 10_000, signal: AbortSignal.abort() };
  strictEqual(await waitWhileMoving(never, watch, aborted), true);
});
