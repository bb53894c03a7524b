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

const NOTHING: Send = { from: 0, count: 0, bases: [], counts: [] };

/** Five a second and some hundred bytes each: a day of them takes less than 200 MB. */
export class Sends {
  readonly partitions: number;
  readonly #sends: Send[] = [];
  readonly #ends: number[];

  constructor(partitions: number) {
    this.partitions = partitions;
    this.#ends = new Array<number>(partitions).fill(0);
  }

  get length(): number {
    return this.#sends.length;
  }

  /** How many records were acknowledged: those with an index below it. */
  get acknowledged(): number {
    return this.recordsBefore(this.length);
  }

  /** The offset after the last record that was acknowledged, by partition. */
  get ends(): number[] {
    return [...this.#ends];
  }

  /** @throws RangeError unless it follows the one before */
  add(send: Send): void {
    if (send.from !== this.acknowledged) {
      throw new RangeError(`a send from ${send.from} does not follow the one before`);
    }
    this.#sends.push(send);
    endsOf(send).forEach((end, partition) =>
      this.#ends[partition] = Math.max(this.#ends[partition] ?? 0, end)
    );
  }

  at(place: number): Send {
    return this.#sends[place] ?? NOTHING;
  }

  /**
   * How many of the sends, from the first on, lie wholly below these offsets.
   *
   * @param known an earlier answer, to begin with
   */
  settled(next: readonly number[], known = 0): number {
    let place = known;
    const below = (end: number, partition: number) => end <= (next[partition] ?? 0);
    while (place < this.length && endsOf(this.at(place)).every(below)) place++;
    return place;
  }

  /** How many records the sends before this one hold. */
  recordsBefore(place: number): number {
    const { from, count } = this.at(place - 1);
    return from + count;
  }

  /** Where each partition's log stands after the sends before this one. */
  endsBefore(place: number): number[] {
    const ends = new Array<number>(this.partitions).fill(0);
    const missing = new Set(ends.keys());
    for (let before = place - 1; before >= 0 && missing.size > 0; before--) {
      endsOf(this.at(before)).forEach((end, partition) => {
        if (end > 0 && missing.delete(partition)) ends[partition] = end;
      });
    }
    return ends;
  }
}

/** The offset after the send's last record by partition; 0 where it has none. */
function endsOf({ bases, counts }: Send): number[] {
  return bases.map((base, partition) => base === undefined ? 0 : base + (counts[partition] ?? 0));
}
