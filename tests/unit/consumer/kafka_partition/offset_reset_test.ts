import { deepStrictEqual, match } from "node:assert";
import { decideOffsetReset } from "../../../../workers/consumer/kafka_partition/offset_reset.ts";

const LOG = { earliest: 15, end: 20 };
const DIVERGED = { epoch: 3, endOffset: 12 };
const EMPTY = { earliest: 20, end: 20 };

Deno.test("decideOffsetReset() retries if the offset is in the log or at its end", () => {
  for (const offset of [15, 17, 20]) {
    deepStrictEqual(decideOffsetReset(offset, undefined, LOG, "fail"), { kind: "retry" });
  }
});

Deno.test("decideOffsetReset() with fail holds the partition and gives the offsets and the next step", () => {
  for (
    const [offset, divergence, reason] of [
      [10, undefined, /offset 10 .* 15 to 20: 5 records were deleted.*=earliest/],
      [21, undefined, /offset 21 .* 15 to 20: the log lost records.*=earliest/],
      [
        17,
        DIVERGED,
        /offset 17 is stored, but the log was cut.*up to 20 \(those of leader epoch 3 end at 12\).*=earliest/,
      ],
    ] as const
  ) {
    const held = decideOffsetReset(offset, divergence, LOG, "fail");
    match(held.kind === "hold" ? held.reason : "", reason);
  }
});

Deno.test("decideOffsetReset() with earliest skips deleted records and restarts after a log truncation", () => {
  deepStrictEqual(decideOffsetReset(10, undefined, LOG, "earliest"), { kind: "skip", to: 15 });
  deepStrictEqual(decideOffsetReset(10, undefined, EMPTY, "earliest"), { kind: "skip", to: 20 });
  for (const [offset, divergence] of [[21, undefined], [17, DIVERGED], [10, DIVERGED]] as const) {
    deepStrictEqual(decideOffsetReset(offset, divergence, LOG, "earliest"), { kind: "restart", from: 15 });
  }
});
