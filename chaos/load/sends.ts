/** Remembers which records each acknowledged send had, and their offsets. */

export interface Send {
  /** Lowest index of its records. */
  readonly from: number;
  /** Number of its records, a multiple of BLOCK (records.ts). */
  readonly count: number;
  /** Offset of its first record, by partition; undefined if the partition got none. */
  readonly baseOffsets: readonly (number | undefined)[];
  /** Number of its records, by partition. */
  readonly counts: readonly number[];
}

const NOTHING: Send = { from: 0, count: 0, baseOffsets: [], counts: [] };

/** One send takes about 400 bytes. With five sends per second, a day takes less than 200 MB. */
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

  /** Number of acknowledged records. Their indexes are 0 to this number - 1. */
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

  at(index: number): Send {
    return this.#sends[index] ?? NOTHING;
  }

  /**
   * @param next an offset for each partition
   * @param known the result of an earlier call
   * @returns the number of sends, from the first one on, whose offsets are all below `next`
   */
  settled(next: readonly number[], known = 0): number {
    let count = known;
    const isBelow = (end: number, partition: number) => end <= (next[partition] ?? 0);
    while (count < this.length && endsOf(this.at(count)).every(isBelow)) count++;
    return count;
  }

  recordsBefore(send: number): number {
    const { from, count } = this.at(send - 1);
    return from + count;
  }

  /** @returns by partition, the offset after the last record of all earlier sends; 0 if they sent none to the partition */
  endsBefore(send: number): number[] {
    const ends = new Array<number>(this.partitions).fill(0);
    const missing = new Set(ends.keys());
    // Goes back until every partition has had a record. An end of 0 means that the send had none for the partition.
    for (let index = send - 1; index >= 0 && missing.size > 0; index--) {
      endsOf(this.at(index)).forEach((end, partition) => {
        if (end > 0 && missing.delete(partition)) ends[partition] = end;
      });
    }
    return ends;
  }
}

function endsOf({ baseOffsets, counts }: Send): number[] {
  return baseOffsets.map((base, partition) => base === undefined ? 0 : base + (counts[partition] ?? 0));
}
