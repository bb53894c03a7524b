/** Rare episodes in which the heart is much too fast or much too slow. */
import { ExponentialApproach } from "./person.ts";
import type { Random } from "./random.ts";

/** Two episodes a day. Real ones may be weeks apart, too rare for a demonstration. */
const MEAN_PAUSE_SECONDS = 86_400 / 2;

/** `timeConstantSeconds` applies to the start and the end of an episode: a tachycardia starts and ends abruptly. */
const FORMS = {
  tachycardia: { meanBpm: 186, deviation: 15, bounds: [150, 219], medianMinutes: 10, timeConstantSeconds: 1 },
  bradycardia: { meanBpm: 40, deviation: 4, bounds: [33, 48], medianMinutes: 5, timeConstantSeconds: 10 },
} as const;

export class Arrhythmia {
  readonly #form;
  readonly #episode: ExponentialApproach;
  #nextSeconds: number;
  #active = false;
  #bpm = 0;

  constructor(form: keyof typeof FORMS, private readonly random: Random, startSeconds: number) {
    this.#form = FORMS[form];
    this.#episode = new ExponentialApproach(startSeconds);
    this.#nextSeconds = startSeconds + random.exponential(MEAN_PAUSE_SECONDS);
  }

  apply(bpm: number, seconds: number): number {
    const { meanBpm, deviation, bounds, medianMinutes } = this.#form;
    while (this.#nextSeconds <= seconds) {
      this.#relax(this.#nextSeconds);
      this.#active = !this.#active;
      if (this.#active) this.#bpm = this.random.normal(meanBpm, deviation, bounds);
      this.#nextSeconds += this.#active
        ? this.random.lognormal(medianMinutes * 60, 0.7)
        : this.random.exponential(MEAN_PAUSE_SECONDS);
    }
    // An ectopic rhythm is regular, so it shows only 5 % of the variation of the sinus rhythm.
    const ectopic = this.#bpm + 0.05 * (bpm - this.#bpm);
    return bpm + (ectopic - bpm) * this.#relax(seconds);
  }

  #relax(toSeconds: number): number {
    return this.#episode.advance(this.#active ? 1 : 0, this.#form.timeConstantSeconds, toSeconds);
  }
}
