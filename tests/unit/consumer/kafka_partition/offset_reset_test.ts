import { deepStrictEqual, match } from "node:assert";
import { decideOffsetReset } from "../../../../workers/consumer/kafka_partition/offset_reset.ts";

const LOG = { earliest: 15, end: 20 };
const DIVERGED = { epoch: 3, endOffset: 12 };
const EMPTY = { earliest: 20, end: 20 };

Deno.test("resolveLostPlace() looks again when the offset is in the log after all, its end included", () => {
  for (const at of [15, 17, 20]) {
    deepStrictEqual(decideOffsetReset(at, undefined, LOG, "fail"), { kind: "retry" });
  }
});

Deno.test("resolveLostPlace() holds the partition by default, with the numbers and the next step", () => {
  for (
    const [at, divergence, reason] of [
      [10, undefined, /offset 10 .* 15 to 20: 5 records were deleted.*=earliest/],
      [21, undefined, /offset 21 .* 15 to 20: the log lost records.*=earliest/],
      [
        17,
        DIVERGED,
        /offset 17 is stored, but the log was cut.*up to 20 \(those of leader epoch 3 end at 12\).*=earliest/,
      ],
    ] as const
  ) {
    const held = decideOffsetReset(at, divergence, LOG, "fail");
    match(held.kind === "hold" ? held.reason : "", reason);
  }
});

Deno.test("resolveLostPlace() with earliest records the gap below the log, and begins anew in a log that was cut", () => {
  deepStrictEqual(decideOffsetReset(10, undefined, LOG, "earliest"), { kind: "skip", to: 15 });
  deepStrictEqual(decideOffsetReset(10, undefined, EMPTY, "earliest"), { kind: "skip", to: 20 });
  for (const [at, divergence] of [[21, undefined], [17, DIVERGED], [10, DIVERGED]] as const) {
    deepStrictEqual(decideOffsetReset(at, divergence, LOG, "earliest"), { kind: "restart", from: 15 });
  }
});
