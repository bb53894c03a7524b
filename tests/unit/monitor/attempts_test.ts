import { deepStrictEqual, strictEqual } from "node:assert";
import { Attempts } from "../../../workers/monitor/access/attempts.ts";

const MINUTE_MS = 60_000;

Deno.test("after ten failures, a client waits until the oldest of them is 15 min old", () => {
  let now = 0;
  const attempts = new Attempts(() => now);
  for (let count = 0; count < 10; count++) {
    strictEqual(attempts.waitSeconds("a"), 0);
    attempts.failed("a");
    now += MINUTE_MS;
  }
  deepStrictEqual([attempts.waitSeconds("a"), attempts.waitSeconds("b")], [5 * 60, 0]);
  now += 5 * MINUTE_MS - 1;
  strictEqual(attempts.waitSeconds("a"), 1);
  now += 1;
  strictEqual(attempts.waitSeconds("a"), 0);
  attempts.failed("a");
  strictEqual(attempts.waitSeconds("a"), 60, "the next one is still in the window");
});

Deno.test("after a hundred failures of many clients, every client waits", () => {
  let now = 0;
  const attempts = new Attempts(() => now);
  for (let count = 0; count < 100; count++) {
    strictEqual(attempts.waitSeconds("new"), 0);
    attempts.failed(`client ${count}`);
    now += 1_000;
  }
  strictEqual(attempts.waitSeconds("new"), 800);
  now = 15 * MINUTE_MS;
  strictEqual(attempts.waitSeconds("new"), 0);
});
