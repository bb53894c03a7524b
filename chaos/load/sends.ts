/** Remembers which records each acknowledged send held, and at which offsets. */

export interface Send {
  /** Index of the first record. `count` is a multiple of the block size. */
  readonly from: number;
  readonly count: number;
  /** Offset of the send's first record by partition; undefined if the partition got none. */
  readonly baseOffsets: readonly (number | undefined)[];
  readonly counts: readonly number[];
}

const NOTHING: Send = { from: 0, count: 0, baseOffsets: [], counts: [] };

/** Five sends per second of some hundred bytes each: a day of them takes less than 200 MB. */
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

  /** Number of acknowledged records, which are all records with a lower index. */
  get acknowledged(): number {
    return this.recordsBefore(this.length);
  }

  /** Next offset after the last acknowledged record, by partition. */
  get ends(): number[] {
    return [...this.#ends];
  }

  /** @throws RangeError unless it directly follows the previous send */
  add(send: Send): void {
    if (send.from !== this.acknowledged) {
      throw new RangeError(`a send from ${send.from} does not follow the previous one`);
    }
    this.#sends.push(send);
    endsOf(send).forEach((end, partition) =>
      this.#ends[partition] = Math.max(this.#ends[partition] ?? 0, end)
    );
  }

  at(place: number): Send {
    return this.#sends[place] ?? NOTHING;
  }

  /** @returns how many leading sends lie wholly below these offsets by partition @param known an earlier result */
  settled(next: readonly number[], known = 0): number {
    let place = known;
    const below = (end: number, partition: number) => end <= (next[partition] ?? 0);
    while (place < this.length && endsOf(this.at(place)).every(below)) place++;
    return place;
  }

  recordsBefore(place: number): number {
    const { from, count } = this.at(place - 1);
    return from + count;
  }

  /** Next offset after the sends before this one, by partition. */
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

function endsOf({ baseOffsets, counts }: Send): number[] {
  return baseOffsets.map((base, partition) => base === undefined ? 0 : base + (counts[partition] ?? 0));
}
