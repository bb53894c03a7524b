/** The readings and bad records of a fleet in one hour. The same seed gives the same heart rates, however late it is. */
import type { Outgoing } from "../../lab/produce.ts";
import { Heart } from "../../workers/producer/heart/heart.ts";
import { Random } from "../../workers/producer/heart/random.ts";

const SEED = 17;
const CUSTOMERS = 400;
const INTERVAL_MS = 5_000;
export const HOUR_MS = 3_600_000;
export const PARTITIONS = 6;
/** The hearts live in this hour, because they depend on the time of day. */
const HEARTS_BEGIN = Date.UTC(2026, 6, 14, 9) / 1000;
const BAD_SHARE = 0.0004;
const MINUTE_S = 60;
/** The reading of the shown customer that is bad in any case. */
const REJECTED_AT_MS = 27 * 60_000 + Math.floor(41 * INTERVAL_MS / CUSTOMERS);

/** Has anomalies, a silence and a reject. The picture of a customer shows it. */
export const SHOWN_CUSTOMER = "c-0042";

/** @param second since the hour began; also after its end */
type Script = (second: number, bpm: number) => number | undefined;

const within = (second: number, fromMinute: number, toMinute: number) =>
  second >= fromMinute * MINUTE_S && second < toMinute * MINUTE_S;

/** An episode that comes and goes within half a minute. @param offset is added to the quiet heart rate */
const episode = (second: number, [fromMinute, toMinute]: readonly [number, number], offset: number) => {
  const ramp = (sinceS: number) => Math.min(1, Math.max(0, sinceS / 30));
  return Math.round(offset * ramp(second - fromMinute * MINUTE_S) * ramp(toMinute * MINUTE_S - second));
};

/** What happens to some customers. Undefined: the sensor sends nothing. */
const SCRIPTS: Readonly<Record<string, Script>> = {
  [SHOWN_CUSTOMER]: (second, bpm) => {
    if (within(second, 33, 40)) return undefined;
    return bpm + episode(second, [12, 20], 115) + episode(second, [45, 48], -32);
  },
  "c-0017": (second, bpm) => Math.min(215, bpm + episode(second, [43, Infinity], 140)),
  "c-0103": (second, bpm) => Math.min(215, bpm + episode(second, [55, Infinity], 130)),
  "c-0230": (second, bpm) => within(second, 52, Infinity) ? 40 + bpm % 4 : bpm,
  "c-0311": (second, bpm) => within(second, 38, Infinity) ? undefined : bpm,
  "c-0358": (second, bpm) => within(second, 49, Infinity) ? undefined : bpm,
};

/** Bad records. The text of the reading is given. */
const MISTAKES: readonly [Mistake, ...Mistake[]] = [
  (reading) => reading.slice(0, reading.length - 9),
  (reading) => reading.replace(/\d+}$/, "255}"),
  (reading) => reading.replace(/\d+}$/, "0}"),
  (reading) => reading.replace(/(\d+)}$/, '"$1 bpm"}'),
  (reading) => reading.replace(/T[\d:.]+Z/, " 25:61"),
  (reading) => reading.replace('"customer_id"', '"customer"'),
  (reading) => reading.replace(/"c-\d+"/, '"<script>alert(1)</script>"').replace(/\d+}$/, "-1}"),
  () => Uint8Array.from([0x00, 0x00, 0x00, 0x00, 0x2a, 0x0c, 0x63, 0x2d, 0x30, 0x30, 0x34, 0x32, 0xd0, 0xff]),
  () => null,
];
type Mistake = (reading: string) => string | Uint8Array | null;

/** A record, and when it was due. */
export type Due = Outgoing & { readonly dueMs: number };

export class SeededHour {
  readonly #startMs: number;
  readonly #random = new Random(SEED, 0, "faults");
  readonly #hearts = Array.from({ length: CUSTOMERS }, (_, index) => {
    return new Heart({ seed: SEED, arrhythmiaShare: 0, dropoutShare: 0.002 }, index + 1, HEARTS_BEGIN);
  });
  #next = 0;

  constructor(startMs: number) {
    this.#startMs = startMs;
  }

  /** All records that became due since the last call. */
  *until(nowMs: number): Generator<Due> {
    for (;; this.#next++) {
      const sinceMs = Math.floor(this.#next * INTERVAL_MS / CUSTOMERS);
      const dueMs = this.#startMs + sinceMs;
      if (dueMs >= nowMs) return;
      const index = this.#next % CUSTOMERS;
      const customer = `c-${String(index + 1).padStart(4, "0")}`;
      const quiet = this.#hearts[index]?.read(HEARTS_BEGIN + sinceMs / 1000);
      const script = SCRIPTS[customer];
      const bpm = quiet === undefined || script === undefined ? quiet : script(sinceMs / 1000, quiet);
      const bad = this.#random.chance(BAD_SHARE) || customer === SHOWN_CUSTOMER && sinceMs === REJECTED_AT_MS;
      const mistake = this.#random.pick(MISTAKES);
      if (bpm === undefined) continue;
      const text = JSON.stringify({
        customer_id: customer,
        timestamp: new Date(dueMs).toISOString(),
        heart_rate: bpm,
      });
      yield { dueMs, key: customer, partition: index % PARTITIONS, value: bad ? mistake(text) : text };
    }
  }
}
