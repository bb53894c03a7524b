/** The benchmark calls it repeatedly with the same input. */
export type Implementation = () => unknown;

export interface Part {
  readonly own: Implementation;
  readonly alternative: Implementation;
  readonly instead: string;
}
/** @param records number of records in the input of one call */
export type MakePart = (records: number) => Part | Promise<Part>;
