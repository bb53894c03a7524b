import { strictEqual } from "node:assert";
import { waitWhileMoving } from "../../../chaos/judge/ledger_watch.ts";

const never = new Promise<void>(() => {});
const { signal } = new AbortController();

Deno.test("who waits for a pipeline that does not begin is told so, and does not wait for ever", async () => {
  strictEqual(await waitWhileMoving(never, { next: [] }, { standstillMs: 50, signal }), false);
  strictEqual(await waitWhileMoving(never, { next: [3, 7] }, { standstillMs: 50, signal }), false);
});

Deno.test("a pipeline that moves is waited for until it is there, and nobody waits for one that was stopped", async () => {
  const watch = { next: [0] };
  const there = Promise.withResolvers<void>();
  const moving = setInterval(() => {
    watch.next = [(watch.next[0] ?? 0) + 1];
    if (watch.next[0] !== 50) return;
    clearInterval(moving);
    there.resolve();
  }, 10);
  strictEqual(await waitWhileMoving(there.promise, watch, { standstillMs: 10_000, signal }), true);
  strictEqual(watch.next[0], 50);
  const stopped = { standstillMs: 10_000, signal: AbortSignal.abort() };
  strictEqual(await waitWhileMoving(never, watch, stopped), true);
});
