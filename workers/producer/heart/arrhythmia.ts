/** Rare episodes in which the heart is much too fast or much too slow. */
import type { Person } from "./person.ts";
import type { Random } from "./random.ts";

/** Of a person who has them at all. Real ones may be weeks apart; a demonstration cannot wait for that. */
const EPISODES_PER_DAY = 2;

interface Form {
  readonly bpm: {
    readonly mean: number;
    readonly deviation: number;
    readonly bounds: readonly [number, number];
  };
  readonly medianMinutes: number;
  /** Time constant of beginning and end. */
  readonly changeSeconds: number;
}

/**
 * - Tachycardia: a paroxysmal supraventricular one begins and ends abruptly; rates are often 150 to 250, on average 186
 *   bpm in people without other heart disease (2015 ACC/AHA/HRS guideline, Circulation 2016; 133: e506-e574; Orejarena
 *   et al., J Am Coll Cardiol 1998; 31: 150-157). Ends at 220, the most that wearables report.
 * - Bradycardia: a sinus rate under 50 bpm (2018 ACC/AHA/HRS guideline, Circulation 2019; 140: e382-e482), here the
 *   marked kind, under 48.
 */
const FORMS: Readonly<Record<"tachycardia" | "bradycardia", Form>> = {
  tachycardia: {
    bpm: { mean: 186, deviation: 15, bounds: [150, 219] },
    medianMinutes: 10,
    changeSeconds: 1,
  },
  bradycardia: {
    bpm: { mean: 40, deviation: 4, bounds: [33, 48] },
    medianMinutes: 5,
    changeSeconds: 10,
  },
};

export class Arrhythmia {
  readonly #form: Form | undefined;
  readonly #random: Random;
  #atSeconds: number;
  #nextSeconds = Infinity;
  #active = false;
  #share = 0;
  #bpm = 0;

  constructor(person: Person, random: Random, startSeconds: number) {
    this.#form = person.arrhythmia === "none" ? undefined : FORMS[person.arrhythmia];
    this.#random = random;
    this.#atSeconds = startSeconds;
    if (this.#form !== undefined) this.#nextSeconds = startSeconds + this.#pause();
  }

  /** @returns the rate with the episode, when there is one, blended into it */
  apply(bpm: number, seconds: number): number {
    if (this.#form === undefined) return bpm;
    while (this.#nextSeconds <= seconds) {
      this.#relax(this.#form, this.#nextSeconds);
      this.#turn(this.#form);
    }
    this.#relax(this.#form, seconds);
    // An ectopic rhythm is strikingly even: little of the sinus node's ups and downs shows through.
    const ectopic = this.#bpm + 0.05 * (bpm - this.#bpm);
    return bpm + (ectopic - bpm) * this.#share;
  }

  #pause(): number {
    return this.#random.exponential(86_400 / EPISODES_PER_DAY);
  }

  #turn(form: Form): void {
    this.#active = !this.#active;
    if (!this.#active) {
      this.#nextSeconds += this.#pause();
      return;
    }
    this.#bpm = this.#random.normal(form.bpm.mean, form.bpm.deviation, form.bpm.bounds);
    this.#nextSeconds += this.#random.lognormal(form.medianMinutes * 60, 0.7);
  }

  #relax(form: Form, toSeconds: number): void {
    const target = this.#active ? 1 : 0;
    const kept = Math.exp(-(toSeconds - this.#atSeconds) / form.changeSeconds);
    this.#share = target + (this.#share - target) * kept;
    this.#atSeconds = toSeconds;
  }
}
