/** A wrist sensor: what it makes of the true rate, and when it says nothing. */
import type { Bout } from "./activity.ts";
import type { Random } from "./random.ts";

/** Devices do not show a rate outside of this; what is outside in the stream is put there on purpose (`generate.ts`). */
const SHOWN_BPM = [30, 220] as const;

/** Loose contact ends when the wearer notices or moves: most gaps are short, a few are long. */
const MEAN_GAP_SECONDS = 60;
/** In this share of the bouts the light's beat is lost and the step's is counted. */
const CADENCE_LOCK_SHARE = 0.05;
const SPIKES_PER_HOUR = 1;

/**
 * Errors of optical sensors at the wrist: they are larger in motion than at rest, and the periodic motion of steps is
 * taken for the pulse ("signal crossover"). Bent et al., npj Digit Med 2020; 3: 18. How often is our choice.
 */
export class Sensor {
  #worn = true;
  #turnSeconds: number;
  #spikeFromSeconds = 0;
  #spikeToSeconds = 0;
  #spikeBpm = 0;
  #bout: Bout | undefined;
  /** Of the bout's steps, while they are counted for the pulse. */
  #cadence: number | undefined;

  /** @param dropoutShare of the time without readings, from 0 to less than 1 */
  constructor(
    private readonly random: Random,
    private readonly dropoutShare: number,
    startSeconds: number,
  ) {
    this.#turnSeconds = dropoutShare > 0 ? startSeconds + this.#wornSeconds() : Infinity;
    this.#nextSpike(startSeconds);
  }

  /** @returns whole beats per minute, or undefined while there is no contact */
  read(trueBpm: number, seconds: number, bout: Bout | undefined): number | undefined {
    while (this.#turnSeconds <= seconds) {
      this.#worn = !this.#worn;
      this.#turnSeconds += this.#worn ? this.#wornSeconds() : this.random.exponential(MEAN_GAP_SECONDS);
    }
    if (bout !== this.#bout) {
      this.#bout = bout;
      this.#cadence = bout !== undefined && this.random.chance(CADENCE_LOCK_SHARE) ? bout.cadence : undefined;
    }
    while (this.#spikeToSeconds <= seconds) this.#nextSpike(this.#spikeToSeconds);
    if (!this.#worn) return undefined;
    const spike = seconds >= this.#spikeFromSeconds ? this.#spikeBpm : 0;
    const bpm = (this.#cadence ?? trueBpm) + spike;
    return Math.min(SHOWN_BPM[1], Math.max(SHOWN_BPM[0], Math.round(bpm)));
  }

  #wornSeconds(): number {
    return this.random.exponential((MEAN_GAP_SECONDS * (1 - this.dropoutShare)) / this.dropoutShare);
  }

  #nextSpike(afterSeconds: number): void {
    this.#spikeFromSeconds = afterSeconds + this.random.exponential(3600 / SPIKES_PER_HOUR);
    this.#spikeToSeconds = this.#spikeFromSeconds + this.random.between([1, 10]);
    this.#spikeBpm = this.random.between([20, 60]) * (this.random.chance(0.5) ? 1 : -1);
  }
}
