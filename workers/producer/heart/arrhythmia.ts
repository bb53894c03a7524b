/** Rare episodes in which the heart is much too fast or much too slow. */
import { ExponentialApproach } from "./person.ts";
import type { Random } from "./random.ts";

/** Of a person who has episodes at all, two a day. Real ones may be weeks apart; a demonstration cannot wait for that. */
const MEAN_PAUSE_SECONDS = 86_400 / 2;

/**
 * Rates and durations of episodes; `changeSeconds` is the time constant of their beginning and end.
 *
 * - Tachycardia: a paroxysmal supraventricular one begins and ends abruptly; rates are often 150 to 250, on average 186
 *   bpm in people without other heart disease (2015 ACC/AHA/HRS guideline, Circulation 2016; 133: e506-e574; Orejarena
 *   et al., J Am Coll Cardiol 1998; 31: 150-157). Ends at 220, the most that wearables report.
 * - Bradycardia: a sinus rate under 50 bpm (2018 ACC/AHA/HRS guideline, Circulation 2019; 140: e382-e482), here the
 *   marked kind, under 48.
 */
const FORMS = {
  tachycardia: { meanBpm: 186, deviation: 15, bounds: [150, 219], medianMinutes: 10, changeSeconds: 1 },
  bradycardia: { meanBpm: 40, deviation: 4, bounds: [33, 48], medianMinutes: 5, changeSeconds: 10 },
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

  /** @returns the rate with the episode, when there is one, blended into it */
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
    // An ectopic rhythm is strikingly even: little of the sinus node's ups and downs shows through.
    const ectopic = this.#bpm + 0.05 * (bpm - this.#bpm);
    return bpm + (ectopic - bpm) * this.#relax(seconds);
  }

  #relax(toSeconds: number): number {
    return this.#episode.advance(this.#active ? 1 : 0, this.#form.changeSeconds, toSeconds);
  }
}
