import type { Random } from "./random.ts";

export interface Person {
  /** The heart rate of the person lying down, after waking up. */
  readonly restingBpm: number;
  readonly maximalBpm: number;
  /** Hour of the day (UTC) at which the heart is slowest. */
  readonly troughHour: number;
  /** Time constant of the rise when exercise starts. */
  readonly onsetSeconds: number;
  /** Short-term variability, as a multiple of the mean of the population. */
  readonly variability: number;
  readonly arrhythmia: "tachycardia" | "bradycardia" | undefined;
}

export function drawPerson(random: Random, arrhythmiaShare: number): Person {
  const ageYears = random.normal(45.8, 14.4, [18, 85]);
  return {
    restingBpm: random.normal(65.5, 7.7, [39.7, 108.6]),
    maximalBpm: 208 - 0.7 * ageYears,
    troughHour: random.normal(5, 1, [3, 7]),
    onsetSeconds: random.normal(57.6, 23.6, [20, 120]),
    variability: random.normal(50, 16, [15, 100]) / 50,
    arrhythmia: random.chance(arrhythmiaShare)
      ? random.chance(0.5) ? "tachycardia" : "bradycardia"
      : undefined,
  };
}

function hoursAfterTrough(person: Person, seconds: number): number {
  return (((seconds / 3600 - person.troughHour) % 24) + 24) % 24;
}

/** A person is awake for 16 hours, from two and a half hours after the trough: about 07:30 to 23:30. */
export function isAwake(person: Person, seconds: number): boolean {
  const hours = hoursAfterTrough(person, seconds);
  return hours >= 2.5 && hours < 18.5;
}

/** The rate without activity: 4 bpm below the resting rate at the trough, 8 bpm above it 12 hours later. */
export function quietBpm(person: Person, seconds: number): number {
  return person.restingBpm + 2 - 6 * Math.cos((2 * Math.PI * hoursAfterTrough(person, seconds)) / 24);
}

/** Approaches a target from 0 with a time constant. The number of steps does not change the result. */
export class ExponentialApproach {
  value = 0;

  constructor(private atSeconds: number) {}

  advance(target: number, timeConstantSeconds: number, toSeconds: number): number {
    const decay = Math.exp(-(toSeconds - this.atSeconds) / timeConstantSeconds);
    this.atSeconds = toSeconds;
    return this.value = target + (this.value - target) * decay;
  }
}
