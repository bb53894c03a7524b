/** The ingest comes first: how long the rollup pauses, and when the ingest makes room for it. */
import { strictEqual } from "node:assert";
import { isNarrow, pauseMs } from "../../../../workers/consumer/rollup/pace.ts";

const BACKLOG = 1_000_000;

for (
  const [roundMs, due, expected] of [
    [0, 0, 250],
    [400, 0, 400],
    [400, 2_000, 400],
    [400, BACKLOG, 1_200],
    [8_000, BACKLOG, 10_000],
    [30_000, 0, 10_000],
  ] as const
) {
  Deno.test(`a round of ${roundMs} ms with ${due} records due is followed by a pause of ${expected} ms`, () => {
    strictEqual(pauseMs(roundMs, due), expected);
  });
}

Deno.test("the ingest makes room from a lag of a minute until it is half", () => {
  let narrow = false;
  const said = [0, 59, 61, 31, 29, 59, 61].map((seconds) => narrow = isNarrow(narrow, seconds));
  strictEqual(said.map(Number).join(""), "0011001");
});
