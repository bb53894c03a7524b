import { xoroshiro128plus } from "pure-rand/generator/xoroshiro128plus";

export interface TimedReading {
  readonly customer: number;
  /** Milliseconds since the Unix epoch. */
  readonly at: number;
  readonly heartRate: number;
}

/** The sort packs 32 random bits and a customer into one double, which holds integers exactly below 2 ** 53. */
export const MAX_CUSTOMERS = 2 ** 21;
const SEED = 1;

/** All customers have one interval but random phases, so neighbours in time are far apart in the primary key. */
export class Fleet {
  readonly customers: number;
  readonly intervalMs: number;
  /** Customers in the order of their readings in a round. */
  readonly #order: Uint32Array;
  /** Milliseconds from the start of a round to the customer's reading. */
  readonly #phases: Float64Array;

  /** @param customers at most `MAX_CUSTOMERS` */
  constructor(customers: number, intervalMs: number, seed = SEED) {
    this.customers = customers;
    this.intervalMs = intervalMs;
    const random = xoroshiro128plus(seed);
    const sorted = Float64Array.from({ length: customers }, (_, customer) => {
      return (random.next() >>> 0) * MAX_CUSTOMERS + customer;
    }).sort();
    this.#order = Uint32Array.from(sorted, (packed) => packed % MAX_CUSTOMERS);
    this.#phases = new Float64Array(customers);
    for (const packed of sorted) {
      this.#phases[packed % MAX_CUSTOMERS] = Math.floor(packed / MAX_CUSTOMERS) / 2 ** 32 * intervalMs;
    }
  }

  /** Whole milliseconds from the start of round 0 to this customer's reading in a round. */
  instantOf(customer: number, round: number): number {
    return Math.floor(round * this.intervalMs + (this.#phases[customer] ?? 0));
  }

  /** `index` counts all readings in the order of time. `startMs`: start of round 0. */
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

/** A heart rate that varies between rest and effort and is rarely beyond the thresholds. The same in every run. */
export function heartRateOf(customer: number, round: number): number {
  const wave = Math.sin((round + customer * 37) / 400) * 40 + Math.sin((round * 7 + customer) / 31) * 6;
  const rare = (round * 2_654_435_761 + customer * 40_503) % 1_000;
  return Math.round(rare === 0 ? 190 : rare === 1 ? 40 : 95 + wave);
}
