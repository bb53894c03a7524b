import type { Exercise } from "./activity.ts";
import type { Random } from "./random.ts";

/** The range that devices display. Values outside it are faults, which `generate.ts` adds. */
const DISPLAY_BPM = [30, 220] as const;

const MEAN_GAP_SECONDS = 60;
/** Share of the exercises during which the sensor takes the steps for the pulse ("signal crossover"). */
const CADENCE_LOCK_SHARE = 0.05;
const SPIKES_PER_HOUR = 1;

/** Adds the errors and the dropouts of an optical sensor at the wrist. */
export class Sensor {
  #worn = true;
  #contactChangeSeconds: number;
  #spikeFromSeconds = 0;
  #spikeToSeconds = 0;
  #spikeBpm = 0;
  #exercise: Exercise | undefined;
  /** Steps per minute, while the sensor takes them for the pulse. */
  #cadence: number | undefined;

  constructor(
    private readonly random: Random,
    /** Share of the time without readings, from 0 to less than 1. */
    private readonly dropoutShare: number,
    startSeconds: number,
  ) {
    this.#contactChangeSeconds = dropoutShare > 0 ? startSeconds + this.#drawWornSeconds() : Infinity;
    this.#nextSpike(startSeconds);
  }

  /** @returns whole beats per minute, or undefined while the sensor has no contact */
  read(trueBpm: number, seconds: number, exercise: Exercise | undefined): number | undefined {
    while (this.#contactChangeSeconds <= seconds) {
      this.#worn = !this.#worn;
      this.#contactChangeSeconds += this.#worn
        ? this.#drawWornSeconds()
        : this.random.exponential(MEAN_GAP_SECONDS);
    }
    if (exercise !== this.#exercise) {
      this.#exercise = exercise;
      this.#cadence = exercise !== undefined && this.random.chance(CADENCE_LOCK_SHARE)
        ? exercise.cadence
        : undefined;
    }
    while (this.#spikeToSeconds <= seconds) this.#nextSpike(this.#spikeToSeconds);
    if (!this.#worn) return undefined;
    const spike = seconds >= this.#spikeFromSeconds ? this.#spikeBpm : 0;
    const bpm = (this.#cadence ?? trueBpm) + spike;
    return Math.min(DISPLAY_BPM[1], Math.max(DISPLAY_BPM[0], Math.round(bpm)));
  }

  #drawWornSeconds(): number {
    return this.random.exponential((MEAN_GAP_SECONDS * (1 - this.dropoutShare)) / this.dropoutShare);
  }

  #nextSpike(afterSeconds: number): void {
    this.#spikeFromSeconds = afterSeconds + this.random.exponential(3600 / SPIKES_PER_HOUR);
    this.#spikeToSeconds = this.#spikeFromSeconds + this.random.between([1, 10]);
    this.#spikeBpm = this.random.between([20, 60]) * (this.random.chance(0.5) ? 1 : -1);
  }
}
