import { xoroshiro128plus } from "pure-rand/generator/xoroshiro128plus";

export interface TimedReading {
  readonly customer: number;
  /** Milliseconds since the Unix epoch. */
  readonly at: number;
  readonly heartRate: number;
}

/** The sort packs 32 random bits and a customer into one double, which is exact for integers below 2 ** 53. */
export const MAX_CUSTOMERS = 2 ** 21;
const SEED = 1;

/**
 * Customers that all report at the same interval. Their phases are random, so readings that follow each other in time
 * are far apart in the primary key. In each interval, which is called a cycle here, every customer has one reading.
 */
export class Fleet {
  readonly customers: number;
  readonly intervalMs: number;
  /** Customers in the order of their readings in a cycle. */
  readonly #order: Uint32Array;
  /** Milliseconds from the start of a cycle to the customer's reading. */
  readonly #phases: Float64Array;

  /** @param customers at most `MAX_CUSTOMERS` */
  constructor(customers: number, intervalMs: number, seed = SEED) {
    this.customers = customers;
    this.intervalMs = intervalMs;
    const random = xoroshiro128plus(seed);
    // Sorting by random phase (upper 32 bits) also gives the order of the customers (lower 21 bits).
    const sorted = Float64Array.from({ length: customers }, (_, customer) => {
      return (random.next() >>> 0) * MAX_CUSTOMERS + customer;
    }).sort();
    this.#order = Uint32Array.from(sorted, (packed) => packed % MAX_CUSTOMERS);
    this.#phases = new Float64Array(customers);
    for (const packed of sorted) {
      this.#phases[packed % MAX_CUSTOMERS] = Math.floor(packed / MAX_CUSTOMERS) / 2 ** 32 * intervalMs;
    }
  }

  /** Whole milliseconds from the start of cycle 0 to this customer's reading in a cycle. */
  instantOf(customer: number, cycle: number): number {
    return Math.floor(cycle * this.intervalMs + (this.#phases[customer] ?? 0));
  }

  /**
   * @param index number of the reading in the order of time, from 0
   * @param startMs start of cycle 0
   */
  reading(index: number, startMs: number): TimedReading {
    const customer = this.#order[index % this.customers] ?? 0;
    const cycle = Math.floor(index / this.customers);
    return {
      customer,
      at: startMs + this.instantOf(customer, cycle),
      heartRate: heartRateOf(customer, cycle),
    };
  }
}

export function nameOf(customer: number): string {
  return `customer-${String(customer).padStart(4, "0")}`;
}

/** A heart rate between rest and effort, rarely outside the alarm limits. It is the same in every run. */
export function heartRateOf(customer: number, cycle: number): number {
  const wave = Math.sin((cycle + customer * 37) / 400) * 40 + Math.sin((cycle * 7 + customer) / 31) * 6;
  const rare = (cycle * 2_654_435_761 + customer * 40_503) % 1_000;
  return Math.round(rare === 0 ? 190 : rare === 1 ? 40 : 95 + wave);
}
