/** One customer's heart and the sensor on the wrist: all the physiology, put together. */
import { Activity } from "./activity.ts";
import { Arrhythmia } from "./arrhythmia.ts";
import { drawPerson, type Person, quietBpm } from "./person.ts";
import { type Purpose, Random } from "./random.ts";
import { Sensor } from "./sensor.ts";
import { Variability } from "./variability.ts";

export interface HeartOptions {
  /** A 32-bit integer. */
  readonly seed: number;
  readonly arrhythmiaShare: number;
  readonly dropoutShare: number;
}

export class Heart {
  readonly #person: Person;
  readonly #activity: Activity;
  readonly #variability: Variability;
  readonly #arrhythmia: Arrhythmia | undefined;
  readonly #sensor: Sensor;
  #atSeconds: number;

  constructor(options: HeartOptions, customer: number, startSeconds: number) {
    const random = (purpose: Purpose) => new Random(options.seed, customer, purpose);
    const person = drawPerson(random("person"), options.arrhythmiaShare);
    this.#person = person;
    this.#activity = new Activity(person, random("activity"), startSeconds);
    this.#variability = new Variability(person, random("variability"));
    this.#arrhythmia = person.arrhythmia &&
      new Arrhythmia(person.arrhythmia, random("arrhythmia"), startSeconds);
    this.#sensor = new Sensor(random("sensor"), options.dropoutShare, startSeconds);
    this.#atSeconds = startSeconds;
  }

  /**
   * Takes a reading. Instants must not go backwards.
   *
   * @param seconds since the Unix epoch
   * @returns whole beats per minute, or undefined while the sensor has no contact
   */
  read(seconds: number): number | undefined {
    this.#activity.advance(seconds);
    const sinus = quietBpm(this.#person, seconds) + this.#activity.bpm +
      this.#variability.step(seconds - this.#atSeconds, this.#activity.reserve);
    this.#atSeconds = seconds;
    const bpm = this.#arrhythmia === undefined ? sinus : this.#arrhythmia.apply(sinus, seconds);
    return this.#sensor.read(bpm, seconds, this.#activity.bout);
  }
}
