import { ok, strictEqual } from "node:assert";
import { FetchStatus } from "../../../../workers/consumer/kafka_partition/fetch_status.ts";

const END = 100;
const SHARED = { alone: false, throttled: false, possiblyTruncated: false, end: END };
const ALONE = { ...SHARED, alone: true };
const THROTTLED = { ...ALONE, throttled: true };
const MINUTE = 60_000;

function statusWithClock() {
  let now = 0;
  const status = new FetchStatus(() => now);
  return {
    status,
    /** @returns whether one of `count` empty responses, spread evenly over the minutes, proved that the log is empty */
    add: (response: typeof ALONE, times: number, minutes: number): boolean => {
      let isProven = false;
      for (let given = 0; given < times; given++) {
        now += minutes * MINUTE / times;
        status.explain();
        isProven = status.empty(response, response.end) || isProven;
      }
      return isProven;
    },
    pass: (minutes: number) => void (now += minutes * MINUTE),
  };
}

Deno.test("FetchStatus.empty() counts a log as empty after many isolated fetches without records over minutes", () => {
  strictEqual(statusWithClock().add(ALONE, 100, 4), true);
  strictEqual(statusWithClock().add(ALONE, 10_000, 2), false, "many responses in a short time proved it");
  strictEqual(statusWithClock().add(ALONE, 12, 60), false, "few responses in a long time proved it");
});

Deno.test("FetchStatus.empty() counts no fetch of several partitions and no throttled fetch as proof of an empty log", () => {
  for (const noProof of [SHARED, THROTTLED, { ...SHARED, throttled: true }]) {
    const { add } = statusWithClock();
    strictEqual(add(noProof, 1_000, 60), false);
    strictEqual(add(ALONE, 100, 2), false, "these responses counted later");
  }
});

Deno.test("FetchStatus.empty() does not count a log as empty unless the topic settings were read recently", () => {
  const { status, add, pass } = statusWithClock();
  add(ALONE, 100, 2);
  pass(2);
  strictEqual(status.isProvenEmpty, true);
  strictEqual(status.empty(ALONE, END), false);
  status.explain();
  strictEqual(status.empty(ALONE, END), true);
});

Deno.test("FetchStatus.empty() starts to count again after a record and when the log grows", () => {
  const { status, add } = statusWithClock();
  strictEqual(add(ALONE, 100, 2), false);
  status.moved();
  strictEqual(status.needsIsolatedFetch, false);
  strictEqual(status.isBrokerSilent, false);
  strictEqual(add(ALONE, 100, 2), false);
  strictEqual(add({ ...ALONE, end: END + 1 }, 100, 2), false);
  strictEqual(add({ ...ALONE, end: END + 1 }, 100, 2), true);
});

Deno.test("FetchStatus isolates a partition after two empty fetches and stops isolating it after a throttled response", () => {
  const { status } = statusWithClock();
  status.empty(SHARED, END);
  strictEqual(status.needsIsolatedFetch, false);
  status.empty(SHARED, END);
  strictEqual(status.needsIsolatedFetch, true);
  strictEqual(status.pauseMs, 0, "the first isolated fetch must follow at once");
  status.empty(ALONE, END);
  ok(status.pauseMs > 0, "the second isolated fetch must wait");
  status.empty(THROTTLED, END);
  strictEqual(status.needsIsolatedFetch, false);
});
