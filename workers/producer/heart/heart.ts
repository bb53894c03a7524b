import { Activity } from "./activity.ts";
import { Arrhythmia } from "./arrhythmia.ts";
import { drawPerson, quietBpm } from "./person.ts";
import { type Purpose, Random } from "./random.ts";
import { Sensor } from "./sensor.ts";
import { Variability } from "./variability.ts";

export interface HeartOptions {
  /** A 32-bit integer. */
  readonly seed: number;
  readonly arrhythmiaShare: number;
  readonly dropoutShare: number;
}

/** The heart of one customer and the sensor on the wrist. */
export class Heart {
  readonly #person;
  readonly #activity;
  readonly #variability;
  readonly #arrhythmia;
  readonly #sensor;

  constructor(options: HeartOptions, customer: number, private atSeconds: number) {
    const random = (purpose: Purpose) => new Random(options.seed, customer, purpose);
    const person = this.#person = drawPerson(random("person"), options.arrhythmiaShare);
    this.#activity = new Activity(person, random("activity"), atSeconds);
    this.#variability = new Variability(person, random("variability"));
    this.#arrhythmia = person.arrhythmia &&
      new Arrhythmia(person.arrhythmia, random("arrhythmia"), atSeconds);
    this.#sensor = new Sensor(random("sensor"), options.dropoutShare, atSeconds);
  }

  /**
   * @param seconds since the Unix epoch, never less than in the previous call
   * @returns whole beats per minute, or undefined while the sensor has no contact
   */
  read(seconds: number): number | undefined {
    this.#activity.advance(seconds);
    const sinus = quietBpm(this.#person, seconds) + this.#activity.bpm +
      this.#variability.step(seconds - this.atSeconds, this.#activity.reserve);
    this.atSeconds = seconds;
    const bpm = this.#arrhythmia?.apply(sinus, seconds) ?? sinus;
    return this.#sensor.read(bpm, seconds, this.#activity.exercise);
  }
}
