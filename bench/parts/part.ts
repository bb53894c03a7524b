/** The benchmark calls it repeatedly with the same input. */
export type Way = () => unknown;

export interface Part {
  readonly own: Way;
  readonly alternative: Way;
  readonly instead: string;
}
/** @param records number of records in the input of one call */
export type MakePart = (records: number) => Part | Promise<Part>;
