import assert from "node:assert/strict";
import { keepRunning, type Restartable, restartDelayMs } from "../../../stack/process/keep_running.ts";

const KILLED: Deno.CommandStatus = { success: false, code: 137, signal: "SIGKILL" };
const WRONG_SETTINGS: Deno.CommandStatus = { success: false, code: 2, signal: null };

Deno.test("restartDelayMs() doubles from one second and stays at thirty", () => {
  assert.deepEqual([1, 2, 3, 4, 5, 6, 7, 100].map(restartDelayMs), [
    1_000,
    2_000,
    4_000,
    8_000,
    16_000,
    30_000,
    30_000,
    30_000,
  ]);
});

Deno.test("keepRunning() starts again what ended, says why, and stops with the signal", async () => {
  const stop = new AbortController();
  const said: string[] = [];
  let starts = 0;
  const ended = Promise.resolve(KILLED);
  const one: Restartable & { running: boolean; exited: Promise<Deno.CommandStatus> } = {
    name: "The consumer",
    running: false,
    exited: ended,
    start: () => {
      starts++;
      one.running = true;
      one.exited = new Promise(() => {});
      stop.abort();
      return Promise.resolve();
    },
  };
  await keepRunning(one, { signal: stop.signal, onProgress: (text) => said.push(text) });
  assert.equal(starts, 1);
  assert.deepEqual(said, [
    "The consumer ended (SIGKILL); starting it again in 1 s",
    "The consumer runs again",
  ]);
});

Deno.test("keepRunning() gives up on what starting again cannot cure", async () => {
  const one: Restartable = {
    name: "The producer",
    running: false,
    exited: Promise.resolve(WRONG_SETTINGS),
    start: () => assert.fail("it was started again"),
    hopeless: ({ code }) => code === 2 ? new Error("--rate: is wrong") : undefined,
  };
  const { signal } = new AbortController();
  await assert.rejects(keepRunning(one, { signal, onProgress: () => {} }), /--rate: is wrong/);
});
