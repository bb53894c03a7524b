/** One customer's heart and the sensor on the wrist: all the physiology, put together. */
import { Activity } from "./activity.ts";
import { Arrhythmia } from "./arrhythmia.ts";
import { drawPerson, type Person, quietBpm } from "./person.ts";
import { Random } from "./random.ts";
import { Sensor } from "./sensor.ts";
import { Variability } from "./variability.ts";

export interface HeartOptions {
  readonly seed: number;
  readonly customer: number;
  readonly startSeconds: number;
  readonly arrhythmiaShare: number;
  readonly dropoutShare: number;
}

export class Heart {
  readonly person: Person;
  readonly #activity: Activity;
  readonly #variability: Variability;
  readonly #arrhythmia: Arrhythmia;
  readonly #sensor: Sensor;
  #atSeconds: number;

  constructor({ seed, customer, startSeconds, arrhythmiaShare, dropoutShare }: HeartOptions) {
    this.person = drawPerson(new Random(seed, customer, "person"), arrhythmiaShare);
    this.#activity = new Activity(this.person, new Random(seed, customer, "activity"), startSeconds);
    this.#variability = new Variability(this.person, new Random(seed, customer, "variability"));
    this.#arrhythmia = new Arrhythmia(this.person, new Random(seed, customer, "arrhythmia"), startSeconds);
    this.#sensor = new Sensor(new Random(seed, customer, "sensor"), dropoutShare, startSeconds);
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
    const sinus = quietBpm(this.person, seconds) + this.#activity.bpm +
      this.#variability.step(seconds - this.#atSeconds, this.#activity.reserve);
    this.#atSeconds = seconds;
    return this.#sensor.read(this.#arrhythmia.apply(sinus, seconds), seconds, this.#activity.bout);
  }
}
