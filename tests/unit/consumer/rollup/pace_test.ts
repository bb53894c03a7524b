import { strictEqual } from "node:assert";
import { ingestConnections, nextRebuildRows, pauseMs } from "../../../../workers/consumer/rollup/pace.ts";

const BACKLOG = 1_000_000;

for (
  const [roundMs, due, isWhole, expected] of [
    [0, 0, true, 250],
    [400, 2_000, true, 400],
    [400, BACKLOG, true, 8_000],
    [400, BACKLOG, false, 400],
    [30_000, 0, false, 8_000],
  ] as const
) {
  const scope = isWhole ? "complete" : "partial";
  Deno.test(`the rollup pauses ${expected} ms after a ${scope} round of ${roundMs} ms while the ingest has ${due} records to read`, () => {
    strictEqual(pauseMs(roundMs, due, isWhole, false), expected);
  });
}

Deno.test("the rollup pauses only 250 ms while the ingest has given up a connection for it", () => {
  strictEqual(pauseMs(30_000, BACKLOG, false, true), 250);
});

for (
  const [rows, ms, expected] of [
    [20_000, 800, 10_000],
    [20_000, 300, 26_667],
    [20_000, 1, 40_000],
    [40_000, 100, 50_000],
    [6_000, 9_000, 5_000],
  ] as const
) {
  Deno.test(`a rebuild reads ${expected} rows next, after ${rows} rows took ${ms} ms`, () => {
    strictEqual(nextRebuildRows(rows, ms), expected);
  });
}

Deno.test("the ingest gives up one connection when the rollup lags by more than 60 s, until it lags by less than 30 s or stalls", () => {
  let last = Infinity;
  for (
    const [lagSeconds, state, expected] of [
      [0, "running", 4],
      [59, "running", 4],
      [61, "running", 3],
      [31, "running", 3],
      [29, "running", 4],
      [59, "running", 4],
      [61, "running", 3],
      [99, "stalled", 4],
      [59, "running", 4],
      [61, "running", 3],
    ] as const
  ) {
    last = ingestConnections(4, { last, lagSeconds, isStalled: state === "stalled" });
    strictEqual(last, expected, `${state}, ${lagSeconds} s behind`);
  }
});

Deno.test("the ingest keeps its only connection", () => {
  strictEqual(ingestConnections(1, { last: 1, lagSeconds: 99, isStalled: false }), 1);
});
