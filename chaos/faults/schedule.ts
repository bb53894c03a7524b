/** Generates a schedule of faults. The same options always give the same schedule. */
import { type Action, type Fault, type Target, targetName } from "./fault.ts";

export interface ScheduleOptions {
  readonly seed: number;
  readonly durationMs: number;
  /** Maximum number of faults. A fault is left out if all targets are busy. */
  readonly faults: number;
  readonly consumers: number;
  /** The targets that may get a fault; default: all. */
  readonly targets?: readonly Target["what"][];
}

/** `weight` is the relative probability of a target, `lengthMs` the minimum and maximum length of its faults. */
const TARGETS: readonly { what: Target["what"]; weight: number; lengthMs: readonly [number, number] }[] = [
  { what: "consumer", weight: 8, lengthMs: [500, 15_000] },
  { what: "broker", weight: 3, lengthMs: [500, 8_000] },
  { what: "database", weight: 4, lengthMs: [500, 8_000] },
  { what: "rollup", weight: 3, lengthMs: [1_000, 15_000] },
  { what: "link consumer-Kafka", weight: 5, lengthMs: [1_000, 15_000] },
  { what: "link consumer-PostgreSQL", weight: 5, lengthMs: [1_000, 15_000] },
  { what: "link producer-Kafka", weight: 3, lengthMs: [1_000, 10_000] },
];

/** The longest fault takes this share of the run, so that short runs have short faults. */
const LONGEST_SHARE = 0.15;
/** Minimum time between two faults of one target. It lets the target start again. */
const REST_MS = 2_000;

/** Divides the run into equal parts and plans one fault at a random time of each. Every fault ends before the run ends. */
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
    const action = actionOn(chosen?.target, random, within);
    const [least, most] = chosen?.lengthMs ?? [0, 0];
    const longest = Math.max(least, Math.min(most, durationMs * LONGEST_SHARE));
    const lengthMs = Math.min(within(least, longest), durationMs - startMs);
    if (chosen === undefined || action === undefined) continue;
    busyUntil.set(targetName(chosen.target), startMs + lengthMs);
    planned.push({ target: chosen.target, action, startMs, lengthMs });
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

function actionOn(
  target: Target | undefined,
  random: () => number,
  within: (least: number, most: number) => number,
): Action | undefined {
  if (target === undefined) return undefined;
  const ofProcess: readonly Action[] = [{ kind: "kill" }, { kind: "freeze" }, { kind: "stop" }];
  const direction = (["both", "both", "requests", "answers"] as const)[within(0, 3)] ?? "both";
  const ofLink: readonly Action[] = [
    { kind: "cut" },
    { kind: "latency", latencyMs: within(20, 800), jitterMs: within(0, 400) },
    { kind: "half-open", direction },
    { kind: "slow", bytesPerSecond: within(2, 50) * 1000 },
    { kind: "byte limit", byteLimit: within(200, 60_000) },
  ];
  const ofRollup: readonly Action[] = [{ kind: "terminate" }, { kind: "hold" }];
  const ofServer = target.what === "rollup" ? ofRollup : ofProcess;
  const actions = target.what.startsWith("link") ? ofLink : ofServer;
  return actions[Math.floor(random() * actions.length)];
}

/** @returns a random number generator (mulberry32) of numbers in [0, 1) */
export function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
