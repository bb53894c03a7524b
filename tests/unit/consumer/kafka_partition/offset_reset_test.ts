import { deepStrictEqual, match } from "node:assert";
import { resolveOutOfRange } from "../../../../workers/consumer/kafka_partition/offset_reset.ts";

const LOG = { earliest: 15, end: 20 };

Deno.test("resolveOutOfRange() looks again when the offset is in the log after all, its end included", () => {
  for (const at of [15, 17, 20]) deepStrictEqual(resolveOutOfRange(at, LOG, "fail"), { kind: "retry" });
});

Deno.test("resolveOutOfRange() holds the partition by default, with the numbers and the next step", () => {
  const below = resolveOutOfRange(10, LOG, "fail");
  match(
    below.kind === "hold" ? below.reason : "",
    /offset 10 .* 15 to 20: 5 records were deleted.*=earliest/,
  );
  const above = resolveOutOfRange(21, LOG, "fail");
  match(above.kind === "hold" ? above.reason : "", /offset 21 .* 15 to 20: the log lost records.*=earliest/);
});

Deno.test("resolveOutOfRange() with earliest records the gap below the log, and begins anew in a log that was cut", () => {
  deepStrictEqual(resolveOutOfRange(10, LOG, "earliest"), { kind: "skip", to: 15 });
  deepStrictEqual(resolveOutOfRange(21, LOG, "earliest"), { kind: "restart", from: 15 });
});

Deno.test("resolveOutOfRange() moves on over a log that is empty now", () => {
  deepStrictEqual(resolveOutOfRange(10, { earliest: 20, end: 20 }, "earliest"), { kind: "skip", to: 20 });
});
