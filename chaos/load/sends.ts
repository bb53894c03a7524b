/** What the broker acknowledged: for each send which records, and where in each partition. Small enough for any run. */

export interface Send {
  /** Index of the first record; a whole number of blocks follows. */
  readonly from: number;
  readonly count: number;
  /** Offset of the send's first record by partition; undefined where it has none. */
  readonly bases: readonly (number | undefined)[];
  /** Records by partition. */
  readonly counts: readonly number[];
}

const NONE = -1;

export class Sends {
  readonly partitions: number;
  readonly #from: number[] = [];
  readonly #count: number[] = [];
  /** For each send and partition. */
  readonly #bases: number[] = [];
  readonly #counts: number[] = [];
  readonly #ends: number[];

  constructor(partitions: number) {
    this.partitions = partitions;
    this.#ends = new Array<number>(partitions).fill(0);
  }

  get length(): number {
    return this.#from.length;
  }

  /** How many records were acknowledged: those with an index below it. */
  get acknowledged(): number {
    return (this.#from.at(-1) ?? 0) + (this.#count.at(-1) ?? 0);
  }

  /** The offset after the last record that was acknowledged, by partition. */
  get ends(): number[] {
    return [...this.#ends];
  }

  /** @throws RangeError unless it follows the one before */
  add({ from, count, bases, counts }: Send): void {
    if (from !== this.acknowledged) {
      throw new RangeError(`a send from ${from} does not follow the one before`);
    }
    this.#from.push(from);
    this.#count.push(count);
    for (let partition = 0; partition < this.partitions; partition++) {
      const base = bases[partition];
      const ours = counts[partition] ?? 0;
      this.#bases.push(base ?? NONE);
      this.#counts.push(ours);
      if (base !== undefined) this.#ends[partition] = Math.max(this.#ends[partition] ?? 0, base + ours);
    }
  }

  at(place: number): Send {
    const first = place * this.partitions;
    return {
      from: this.#from[place] ?? NONE,
      count: this.#count[place] ?? 0,
      bases: this.#bases.slice(first, first + this.partitions)
        .map((base) => base === NONE ? undefined : base),
      counts: this.#counts.slice(first, first + this.partitions),
    };
  }

  /**
   * How many of the sends, from the first on, lie wholly below these offsets.
   *
   * @param known an earlier answer, to begin with
   */
  settled(next: readonly number[], known = 0): number {
    let place = known;
    for (; place < this.length; place++) {
      const { bases, counts } = this.at(place);
      const below = bases.every((base, partition) =>
        base === undefined || base + (counts[partition] ?? 0) <= (next[partition] ?? 0)
      );
      if (!below) break;
    }
    return place;
  }

  /** How many records the sends before this one hold. */
  recordsBefore(place: number): number {
    return place === 0 ? 0 : (this.#from[place - 1] ?? 0) + (this.#count[place - 1] ?? 0);
  }
}
