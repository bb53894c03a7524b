/** Who a synthetic customer is: figures that stay the same for as long as the seed does. */
import type { Random } from "./random.ts";

export interface Person {
  /** Beats per minute, supine, on waking. */
  readonly restingBpm: number;
  readonly maximalBpm: number;
  /** Hour of the day (UTC) at which the heart is slowest. */
  readonly troughHour: number;
  /** Time constant of the rise at the onset of exercise, seconds. */
  readonly onsetSeconds: number;
  /** Short-term variability as a multiple of the population's mean. */
  readonly variability: number;
  readonly arrhythmia: "tachycardia" | "bradycardia" | undefined;
}

/**
 * Draws a person.
 *
 * - Resting rate: 65.5 (standard deviation 7.7), from 39.7 to 108.6 bpm; age 45.8 (14.4) years. Quer et al., PLOS ONE
 *   2020; 15(2): e0227709, 92,457 wearers.
 * - Maximal rate: 208 - 0.7 x age. Tanaka et al., J Am Coll Cardiol 2001; 37: 153-156.
 * - Trough: between 03:00 and 07:00 for most. Speed et al., PLOS Digit Health 2023; 2(4): e0000236.
 * - Onset: 57.6 (23.6) s on a treadmill. Hunt et al., BioMed Eng OnLine 2015; 14: 117.
 * - Variability: SDNN 50 (16) ms over 5 minutes. Nunan et al., Pacing Clin Electrophysiol 2010; 33: 1407-1417.
 *
 * @param arrhythmiaShare how many have a paroxysmal arrhythmia, from 0 to 1; half of them a fast one
 */
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

/** Sixteen hours awake, beginning two and a half hours after the trough: about 07:30 to 23:30. */
export function isAwake(person: Person, seconds: number): boolean {
  const hours = hoursAfterTrough(person, seconds);
  return hours >= 2.5 && hours < 18.5;
}

/**
 * The rate without activity. A cosine around the resting rate, 4 below it at the trough and 8 above it twelve hours
 * later, the reading of someone who sits.
 *
 * The lowest quiet rate is 4 bpm lower by night than by day (50.5 and 54.5, Speed et al. 2023), and by night the mean
 * of a healthy adult is 10 to 20 % under that of the day.
 */
export function quietBpm(person: Person, seconds: number): number {
  return person.restingBpm + 2 - 6 * Math.cos((2 * Math.PI * hoursAfterTrough(person, seconds)) / 24);
}

/** What moves from 0 towards a target by a time constant. The result does not depend on how often it is asked. */
export class ExponentialApproach {
  value = 0;

  constructor(private atSeconds: number) {}

  advance(target: number, constantSeconds: number, toSeconds: number): number {
    const kept = Math.exp(-(toSeconds - this.atSeconds) / constantSeconds);
    this.atSeconds = toSeconds;
    return this.value = target + (this.value - target) * kept;
  }
}
