import assert from "node:assert/strict";
import { Activity } from "../../../workers/producer/heart/activity.ts";
import { Arrhythmia } from "../../../workers/producer/heart/arrhythmia.ts";
import { Heart } from "../../../workers/producer/heart/heart.ts";
import { drawPerson, type Person } from "../../../workers/producer/heart/person.ts";
import { Random } from "../../../workers/producer/heart/random.ts";
import { Sensor } from "../../../workers/producer/heart/sensor.ts";
import { Variability } from "../../../workers/producer/heart/variability.ts";

const MIDNIGHT_S = Date.UTC(2026, 0, 5) / 1000;
const PERSON: Person = {
  restingBpm: 65,
  maximalBpm: 180,
  troughHour: 5,
  onsetSeconds: 57.6,
  variability: 1,
  arrhythmia: undefined,
};

const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;

function deviation(values: readonly number[]): number {
  const middle = mean(values);
  return Math.sqrt(mean(values.map((value) => (value - middle) ** 2)));
}

function assertWithin(value: number, [low, high]: readonly [number, number], what: string): void {
  assert.ok(value >= low && value <= high, `${what} is ${value}, expected ${low} to ${high}`);
}

function readings(heart: Heart, fromSeconds: number, seconds: number, step: number): number[] {
  const values: number[] = [];
  for (let at = fromSeconds; at < fromSeconds + seconds; at += step) {
    const bpm = heart.read(at);
    if (bpm !== undefined) values.push(bpm);
  }
  return values;
}

function heart(customer: number): Heart {
  return new Heart({ seed: 1, arrhythmiaShare: 0, dropoutShare: 0 }, customer, MIDNIGHT_S);
}

Deno.test("drawPerson() draws resting heart rates with the distribution that Quer et al. measured", () => {
  const people = Array.from({ length: 4_000 }, (_, index) => drawPerson(new Random(3, index, "person"), 0.1));
  const resting = people.map(({ restingBpm }) => restingBpm);
  assertWithin(mean(resting), [65, 66.2], "the mean");
  assertWithin(deviation(resting), [7.2, 8.1], "the standard deviation");
  assertWithin(Math.min(...resting), [39.7, 50], "the lowest");
  assertWithin(
    people.filter(({ arrhythmia }) => arrhythmia !== undefined).length / 4_000,
    [0.08, 0.12],
    "the share of people with an arrhythmia",
  );
});

Deno.test("a Heart beats 10 to 25 % slower at night than by day, and always within the range of a sensor", () => {
  const nights: number[] = [];
  const days: number[] = [];
  for (let customer = 1; customer <= 40; customer++) {
    const person = heart(customer);
    nights.push(...readings(person, MIDNIGHT_S + 2 * 3600, 4 * 3600, 60));
    days.push(...readings(person, MIDNIGHT_S + 10 * 3600, 10 * 3600, 60));
  }
  assertWithin(1 - mean(nights) / mean(days), [0.1, 0.25], "the nightly dip");
  assertWithin(Math.min(...nights), [30, 60], "the lowest");
  assertWithin(Math.max(...days), [110, 215], "the highest");
});

Deno.test("the readings of a Heart are more correlated after a second than after a minute", () => {
  const values = readings(heart(5), MIDNIGHT_S, 6 * 3600, 1);
  const correlation = (lag: number) => {
    const middle = mean(values);
    const off = (value = 0) => value - middle;
    const products = values.slice(lag).map((value, index) => off(value) * off(values[index]));
    return mean(products) / deviation(values) ** 2;
  };
  assertWithin(correlation(1), [0.8, 0.995], "the correlation of neighbouring seconds");
  assertWithin(correlation(1) - correlation(60), [0.05, 1], "the loss of correlation within a minute");
});

Deno.test("Variability has the short-term deviation of healthy adults at rest, and a smaller deviation during effort", () => {
  const sample = (reserve: number) => {
    const variability = new Variability(PERSON, new Random(2, 1, "variability"));
    const spreads: number[] = [];
    for (let window = 0; window < 100; window++) {
      spreads.push(deviation(Array.from({ length: 300 }, () => variability.step(1, reserve))));
    }
    return mean(spreads);
  };
  // The full deviation is at most 3.5 bpm (see variability.ts). A window of 300 s shows only a part of the slow components.
  assertWithin(sample(0), [2.4, 3.7], "the deviation at rest");
  assertWithin(sample(1) / sample(0), [0.2, 0.6], "the deviation during effort relative to rest");
});

Deno.test("Variability does not depend on the sampling interval", () => {
  const spread = (step: number) => {
    const variability = new Variability(PERSON, new Random(2, 1, "variability"));
    return deviation(Array.from({ length: 20_000 }, () => variability.step(step, 0)));
  };
  assertWithin(spread(600) / spread(3_600), [0.9, 1.1], "the ratio of the deviations");
});

Deno.test("Activity raises the heart rate during exercise and lowers it by more than 12 bpm in the first minute after it", () => {
  const activity = new Activity(PERSON, new Random(4, 2, "activity"), MIDNIGHT_S + 8 * 3600);
  let vigorous = 0;
  let at = MIDNIGHT_S + 8 * 3600;
  const endSeconds = at + 200 * 86_400;
  while (vigorous < 3 && at < endSeconds) {
    at += 10;
    activity.advance(at);
    const { exercise } = activity;
    if (exercise === undefined || exercise.reserve < 0.6 || exercise.toSeconds - exercise.fromSeconds < 600) {
      continue;
    }
    vigorous++;
    const before = activity.bpm;
    activity.advance(exercise.fromSeconds + PERSON.onsetSeconds + 10);
    assert.ok(activity.bpm > before, "the heart rate does not rise");
    activity.advance(exercise.toSeconds - 1);
    const peak = activity.bpm;
    assertWithin(peak, [60, 105], "the peak above rest");
    activity.advance(exercise.toSeconds + 60);
    assertWithin(peak - activity.bpm, [12.1, 60], "the fall in the first minute");
    at = exercise.toSeconds + 60;
  }
  assert.equal(vigorous, 3);
});

Deno.test("Activity does not depend on the sampling interval", () => {
  const often = new Activity(PERSON, new Random(4, 1, "activity"), MIDNIGHT_S);
  const seldom = new Activity(PERSON, new Random(4, 1, "activity"), MIDNIGHT_S);
  for (let second = 0; second <= 86_400; second++) {
    often.advance(MIDNIGHT_S + second);
    if (second % 7_200 !== 0) continue;
    seldom.advance(MIDNIGHT_S + second);
    assert.ok(Math.abs(often.bpm - seldom.bpm) < 1e-6, `${often.bpm} and ${seldom.bpm} after ${second} s`);
  }
});

for (const [form, [low, high]] of [["tachycardia", [140, 220]], ["bradycardia", [32, 50]]] as const) {
  Deno.test(`Arrhythmia gives a person with ${form} rare episodes at rates of ${low} to ${high}`, () => {
    const arrhythmia = new Arrhythmia(form, new Random(5, 1, "arrhythmia"), MIDNIGHT_S);
    const at = (index: number) => arrhythmia.apply(70, MIDNIGHT_S + index * 10);
    const values = Array.from({ length: 20 * 8_640 }, (_, index) => at(index));
    const ectopic = values.filter((bpm) => Math.abs(bpm - 70) > 15);
    assertWithin(ectopic.length / values.length, [0.001, 0.05], "the share of the time");
    // At the beginning and at the end of an episode, the rate is between the two rhythms.
    const ordered = ectopic.toSorted((a, b) => a - b);
    const quantile = (share: number) => ordered[Math.floor(share * ordered.length)] ?? NaN;
    assertWithin(quantile(0.05), [low, high], "the lower end");
    assertWithin(quantile(0.95), [low, high], "the upper end");
  });
}

Deno.test("Sensor is silent for the requested share of the time, in gaps of about a minute", () => {
  const sensor = new Sensor(new Random(6, 1, "sensor"), 0.05, 0);
  let silent = 0;
  let gaps = 0;
  let before: number | undefined = 70;
  const seconds = 400_000;
  for (let at = 0; at < seconds; at++) {
    const bpm = sensor.read(70, at, undefined);
    if (bpm === undefined) {
      silent++;
      if (before !== undefined) gaps++;
    }
    before = bpm;
  }
  assertWithin(silent / seconds, [0.04, 0.06], "the share of silence");
  assertWithin(silent / gaps, [45, 75], "the mean gap in seconds");
});

Deno.test("Sensor sometimes reports the step cadence instead of the heart rate for the rest of an exercise", () => {
  const sensor = new Sensor(new Random(6, 2, "sensor"), 0, 0);
  let locked = 0;
  for (let number = 0; number < 1_000; number++) {
    const from = number * 100;
    const exercise = { reserve: 0.5, cadence: 117, fromSeconds: from, toSeconds: from + 50 };
    const shown = [from, from + 20, from + 40].map((at) => sensor.read(90, at, exercise));
    if (shown.filter((bpm) => bpm === 117).length >= 2) locked++;
  }
  assertWithin(
    locked,
    [25, 80],
    "the number of exercises (of 1,000) in which the sensor reports the cadence",
  );
});
