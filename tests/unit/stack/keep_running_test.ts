import assert from "node:assert/strict";
import { keepRunning, type Restartable, restartDelayMs } from "../../../stack/process/keep_running.ts";

const KILLED: Deno.CommandStatus = { success: false, code: 137, signal: "SIGKILL" };
const WRONG_SETTINGS: Deno.CommandStatus = { success: false, code: 2, signal: null };

Deno.test("restartDelayMs() doubles from 1 s to at most 30 s", () => {
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

Deno.test("keepRunning() restarts an ended program, says why it ended, and stops when the signal aborts", async () => {
  const stop = new AbortController();
  const messages: string[] = [];
  let starts = 0;
  const ended = Promise.resolve(KILLED);
  const program: Restartable & { running: boolean; exited: Promise<Deno.CommandStatus> } = {
    name: "The consumer",
    running: false,
    exited: ended,
    start: () => {
      starts++;
      program.running = true;
      program.exited = new Promise(() => {});
      stop.abort();
      return Promise.resolve();
    },
  };
  await keepRunning(program, { signal: stop.signal, onProgress: (text) => messages.push(text) });
  assert.equal(starts, 1);
  assert.deepEqual(messages, [
    "The consumer ended (SIGKILL); starting it again in 1 s",
    "The consumer runs again",
  ]);
});

Deno.test("keepRunning() throws if a restart cannot help", async () => {
  const program: Restartable = {
    name: "The producer",
    running: false,
    exited: Promise.resolve(WRONG_SETTINGS),
    start: () => assert.fail("keepRunning() restarted the producer"),
    hopeless: ({ code }) => code === 2 ? new Error("--rate: is wrong") : undefined,
  };
  const { signal } = new AbortController();
  await assert.rejects(keepRunning(program, { signal, onProgress: () => {} }), /--rate: is wrong/);
});
