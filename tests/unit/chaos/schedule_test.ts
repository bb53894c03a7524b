import { deepStrictEqual, notDeepStrictEqual, ok, strictEqual } from "node:assert";
import fc from "fast-check";
import { describeFault, type Fault, targetName } from "../../../chaos/faults/fault.ts";
import { planFaults } from "../../../chaos/faults/schedule.ts";
import { property } from "../../support/property.ts";

const HOUR = { seed: 7, durationMs: 3_600_000, faults: 300, consumers: 3 };

function byTarget(faults: readonly Fault[]): Fault[][] {
  return [...Map.groupBy(faults, ({ target }) => targetName(target)).values()];
}

Deno.test("planFaults() gives the same schedule for the same seed, line by line, and another for another", () => {
  const lines = (seed: number) => planFaults({ ...HOUR, seed }).map(describeFault);
  deepStrictEqual(lines(7), lines(7));
  notDeepStrictEqual(lines(7), lines(8));
});

Deno.test("an hour with 300 faults has every action on every target that can suffer it", () => {
  const faults = planFaults(HOUR);
  ok(faults.length > 290, `${faults.length} faults`);
  const seen = new Set(faults.map(({ target, action }) => `${target.what}: ${action.kind}`));
  // 3 processes by 3, 3 links by 5, the rollup by 2.
  strictEqual(seen.size, 26, [...seen].join(", "));
});

Deno.test("some faults overlap, but never two of one target", () => {
  const faults = planFaults(HOUR);
  const overlaps = (sorted: readonly Fault[]) =>
    sorted.filter((fault, index) => {
      const before = sorted[index - 1];
      return before !== undefined && before.startMs + before.lengthMs > fault.startMs;
    });
  ok(overlaps(faults).length > 20);
  for (const ofOne of byTarget(faults)) deepStrictEqual(overlaps(ofOne), []);
});

Deno.test("every fault begins in order and has ended when the run is over", () => {
  fc.assert(
    fc.property(
      fc.integer(),
      fc.integer({ min: 10_000, max: 600_000 }),
      fc.integer({ min: 1, max: 60 }),
      fc.integer({ min: 1, max: 5 }),
      (seed, durationMs, count, consumers) => {
        const faults = planFaults({ seed, durationMs, faults: count, consumers });
        faults.forEach(({ number, startMs, lengthMs, target }, index) => {
          strictEqual(number, index + 1);
          ok(startMs >= (faults[index - 1]?.startMs ?? 0));
          ok(lengthMs >= 0 && startMs + lengthMs <= durationMs);
          ok(target.what !== "consumer" || target.index < consumers);
        });
      },
    ),
    property("schedules", 200),
  );
});

Deno.test("only what may be disturbed is", () => {
  const targets = ["consumer", "link consumer-PostgreSQL"] as const;
  const seen = new Set(planFaults({ ...HOUR, targets }).map(({ target }) => target.what));
  deepStrictEqual([...seen].sort(), [...targets]);
});

Deno.test("a fault's line says number, start, length, target and action", () => {
  const fault: Fault = {
    number: 12,
    target: { what: "consumer", index: 1 },
    action: { kind: "kill" },
    startMs: 83_460,
    lengthMs: 2_000,
  };
  strictEqual(describeFault(fault), " #12    1:23.5    +2.0 s  consumer 2                 kill -9");
});
