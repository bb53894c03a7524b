import { deepStrictEqual, notDeepStrictEqual, ok, strictEqual } from "node:assert";
import fc from "fast-check";
import { describeFault, type Fault, targetName } from "../../../chaos/faults/fault.ts";
import { planFaults } from "../../../chaos/faults/schedule.ts";
import { property } from "../../support/property.ts";

const HOUR = { seed: 7, durationMs: 3_600_000, faults: 300, consumers: 3 };

function byTarget(faults: readonly Fault[]): Fault[][] {
  return [...Map.groupBy(faults, ({ target }) => targetName(target)).values()];
}

Deno.test("planFaults() gives the same schedule for the same seed, and another one for another seed", () => {
  const lines = (seed: number) => planFaults({ ...HOUR, seed }).map(describeFault);
  deepStrictEqual(lines(7), lines(7));
  notDeepStrictEqual(lines(7), lines(8));
});

Deno.test("planFaults() plans every possible action on every target in an hour with 300 faults", () => {
  const faults = planFaults(HOUR);
  ok(faults.length > 290, `only ${faults.length} faults`);
  const seen = new Set(faults.map(({ target, action }) => `${target.what}: ${action.kind}`));
  // 3 processes with 3 actions each, 3 links with 5 each, and the rollup with 2.
  strictEqual(seen.size, 26, [...seen].join(", "));
});

Deno.test("planFaults() plans overlapping faults, but never two on the same target", () => {
  const faults = planFaults(HOUR);
  const overlaps = (sorted: readonly Fault[]) =>
    sorted.filter((fault, index) => {
      const previous = sorted[index - 1];
      return previous !== undefined && previous.startMs + previous.lengthMs > fault.startMs;
    });
  ok(overlaps(faults).length > 20);
  for (const ofTarget of byTarget(faults)) deepStrictEqual(overlaps(ofTarget), []);
});

Deno.test("planFaults() orders faults by their start, and each fault ends before the run ends", () => {
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

Deno.test("planFaults() plans faults only on the given targets", () => {
  const targets = ["consumer", "link consumer-PostgreSQL"] as const;
  const seen = new Set(planFaults({ ...HOUR, targets }).map(({ target }) => target.what));
  deepStrictEqual([...seen].sort(), [...targets]);
});

Deno.test("describeFault() gives number, start, length, target and action in one line", () => {
  const fault: Fault = {
    number: 12,
    target: { what: "consumer", index: 1 },
    action: { kind: "kill" },
    startMs: 83_460,
    lengthMs: 2_000,
  };
  strictEqual(describeFault(fault), " #12    1:23.5    +2.0 s  consumer 2                 kill -9");
});
