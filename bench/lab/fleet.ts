/** Customers who each report at the same interval, in random phases: neighbours in time are strangers in the key. */
import { xoroshiro128plus } from "pure-rand/generator/xoroshiro128plus";

export interface TimedReading {
  readonly customer: number;
  /** Milliseconds since the Unix epoch. */
  readonly at: number;
  readonly heartRate: number;
}

/** A customer's number below 32 random bits: such numbers are exact as doubles, and a typed array sorts them quickly. */
export const MOST_CUSTOMERS = 2 ** 21;
const SEED = 1;

export class Fleet {
  readonly customers: number;
  readonly intervalMs: number;
  /** In the order in which they report. */
  readonly #order: Uint32Array;
  /** Milliseconds behind the begin of a round, by customer. */
  readonly #phases: Float64Array;

  /** @param customers at most `MOST_CUSTOMERS` */
  constructor(customers: number, intervalMs: number, seed = SEED) {
    this.customers = customers;
    this.intervalMs = intervalMs;
    const random = xoroshiro128plus(seed);
    const sorted = Float64Array.from({ length: customers }, (_, customer) => {
      return (random.next() >>> 0) * MOST_CUSTOMERS + customer;
    }).sort();
    this.#order = Uint32Array.from(sorted, (one) => one % MOST_CUSTOMERS);
    this.#phases = new Float64Array(customers);
    for (const one of sorted) {
      this.#phases[one % MOST_CUSTOMERS] = Math.floor(one / MOST_CUSTOMERS) / 2 ** 32 * intervalMs;
    }
  }

  /** Whole milliseconds from the first round's begin to this customer's reading in a round. */
  instantOf(customer: number, round: number): number {
    return Math.floor(round * this.intervalMs + (this.#phases[customer] ?? 0));
  }

  /** @param index in the order of time, from 0 @param startMs when the first round begins */
  reading(index: number, startMs: number): TimedReading {
    const customer = this.#order[index % this.customers] ?? 0;
    const round = Math.floor(index / this.customers);
    return {
      customer,
      at: startMs + this.instantOf(customer, round),
      heartRate: heartRateOf(customer, round),
    };
  }
}

export function nameOf(customer: number): string {
  return `customer-${String(customer).padStart(4, "0")}`;
}

/** A rate that wanders between rest and effort, now and then beyond the thresholds; the same at every run. */
export function heartRateOf(customer: number, round: number): number {
  const wave = Math.sin((round + customer * 37) / 400) * 40 + Math.sin((round * 7 + customer) / 31) * 6;
  const rare = (round * 2_654_435_761 + customer * 40_503) % 1_000;
  return Math.round(rare === 0 ? 190 : rare === 1 ? 40 : 95 + wave);
}
