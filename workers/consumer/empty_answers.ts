/** What a broker says by sending no record of a log that goes on: little each time, in the end that there is none left. */

/** After so many in a row the broker is asked for that partition alone: it owes at least one batch then, if there is one. */
const SUSPICIOUS = 2;
/** And after so many to that question it is believed: a slow object store behind it may answer late. */
const PROVING = 12;

/** Of one partition, since its last record or since it moved to another offset. */
export class EmptyAnswers {
  #inARow = 0;
  #toTheQuestionAlone = 0;

  /** Whether the partition should be asked for alone. */
  get areSuspicious(): boolean {
    return this.#inARow >= SUSPICIOUS;
  }

  /**
   * @param alone whether nothing else was asked for
   * @param throttled whether a quota held records back, in which case the answer says nothing
   * @returns whether the log is known by now to hold no record up to its end
   */
  add({ alone, throttled }: { readonly alone: boolean; readonly throttled: boolean }): boolean {
    // A quota may last: the other partitions have their turn before this one is asked for alone again.
    this.#inARow = throttled ? 0 : this.#inARow + 1;
    if (alone && !throttled) this.#toTheQuestionAlone++;
    return this.#toTheQuestionAlone >= PROVING;
  }

  forget(): void {
    this.#inARow = 0;
    this.#toTheQuestionAlone = 0;
  }
}
