/** From a seed and a duration to a schedule of faults. Pure: the same seed gives the same schedule. */
import { type Fault, type Harm, type Target, targetName } from "./fault.ts";

export interface ScheduleOptions {
  readonly seed: number;
  readonly durationMs: number;
  /** How many faults. */
  readonly faults: number;
  readonly consumers: number;
  /** What may be disturbed; everything unless told. */
  readonly targets?: readonly Target["what"][];
}

/** How often each is chosen, and how long it is disturbed: milliseconds, least and most. */
const TARGETS: readonly { what: Target["what"]; weight: number; lengthMs: readonly [number, number] }[] = [
  { what: "consumer", weight: 8, lengthMs: [500, 15_000] },
  { what: "broker", weight: 3, lengthMs: [500, 8_000] },
  { what: "database", weight: 4, lengthMs: [500, 8_000] },
  { what: "rollup", weight: 3, lengthMs: [1_000, 15_000] },
  { what: "link consumer-Kafka", weight: 5, lengthMs: [1_000, 15_000] },
  { what: "link consumer-PostgreSQL", weight: 5, lengthMs: [1_000, 15_000] },
  { what: "link producer-Kafka", weight: 3, lengthMs: [1_000, 10_000] },
];

/** No fault lasts longer than this share of the run: a short run has short ones. */
const LONGEST_SHARE = 0.15;
/** A server that was killed is not disturbed again before it had this long to come back. */
const REST_MS = 2_000;

/**
 * One fault for each part of the run, at a random moment of it; some overlap, but never two of the same target.
 *
 * @returns in the order of their beginning; the last has ended when the run is over
 */
export function planFaults(options: ScheduleOptions): Fault[] {
  const { seed, durationMs, faults, consumers } = options;
  const random = seeded(seed);
  const within = (least: number, most: number) => Math.round(least + random() * (most - least));
  const allowed = TARGETS.filter(({ what }) => options.targets?.includes(what) ?? true);
  const busyUntil = new Map<string, number>();
  const planned: Omit<Fault, "number">[] = [];
  for (let part = 0; part < faults; part++) {
    const startMs = Math.round((part + random()) * durationMs / faults);
    const free = allowed
      .flatMap(({ what, weight, lengthMs }): Choice[] => {
        if (what !== "consumer") return [{ target: { what }, weight, lengthMs }];
        return Array.from(
          { length: consumers },
          (_, index) => ({ target: { what, index }, weight: weight / consumers, lengthMs }),
        );
      })
      .filter(({ target }) => (busyUntil.get(targetName(target)) ?? -Infinity) + REST_MS <= startMs);
    const chosen = choose(free, random);
    const harm = harmOf(chosen?.target, random, within);
    const [least, most] = chosen?.lengthMs ?? [0, 0];
    const longest = Math.max(least, Math.min(most, durationMs * LONGEST_SHARE));
    const lengthMs = Math.min(within(least, longest), durationMs - startMs);
    // So much at once that nobody is left to disturb: the others keep their chance all the same.
    if (chosen === undefined || harm === undefined) continue;
    busyUntil.set(targetName(chosen.target), startMs + lengthMs);
    planned.push({ target: chosen.target, harm, startMs, lengthMs });
  }
  return planned.map((fault, index) => ({ number: index + 1, ...fault }));
}

interface Choice {
  readonly target: Target;
  readonly weight: number;
  readonly lengthMs: readonly [number, number];
}

function choose(choices: readonly Choice[], random: () => number): Choice | undefined {
  let rest = random() * choices.reduce((sum, { weight }) => sum + weight, 0);
  return choices.find(({ weight }) => (rest -= weight) < 0);
}

function harmOf(
  target: Target | undefined,
  random: () => number,
  within: (least: number, most: number) => number,
): Harm | undefined {
  if (target === undefined) return undefined;
  const ofProcess: readonly Harm[] = [{ kind: "kill" }, { kind: "freeze" }, { kind: "stop" }];
  const direction = (["both", "both", "requests", "answers"] as const)[within(0, 3)] ?? "both";
  const ofLink: readonly Harm[] = [
    { kind: "cut" },
    { kind: "latency", latencyMs: within(20, 800), jitterMs: within(0, 400) },
    { kind: "half-open", direction },
    { kind: "slow", bytesPerSecond: within(2, 50) * 1000 },
    { kind: "byte limit", byteLimit: within(200, 60_000) },
  ];
  const ofRollup: readonly Harm[] = [{ kind: "terminate" }, { kind: "hold" }];
  const ofServer = target.what === "rollup" ? ofRollup : ofProcess;
  const harms = target.what.startsWith("link") ? ofLink : ofServer;
  return harms[Math.floor(random() * harms.length)];
}

/** Numbers in [0, 1) that are the same on every run (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
