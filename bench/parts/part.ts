/** A part of this repository, and what could stand in its place. */

/** One of the two ways; called again and again with the same input. */
export type Way = () => unknown;

export interface Part {
  /** Of this repository. */
  readonly ours: Way;
  readonly alternative: Way;
  /** What the alternative is. */
  readonly instead: string;
}
/** Makes a part's input, and both ways over it. @param records that one call handles */
export type MakePart = (records: number) => Part | Promise<Part>;
