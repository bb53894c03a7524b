/** The ordered list of migrations. Static text imports, so that a compiled program carries them. */
import createSchema from "./0001_create_schema.sql" with { type: "text" };

export interface Migration {
  /** 1, 2, 3 ... without a hole. */
  readonly version: number;
  /** The file's name without its ending. */
  readonly name: string;
  readonly sql: string;
  /**
   * Whether a program that does not know this migration must refuse the database. The schema's generation moves with it,
   * which stops programs that are running.
   */
  readonly breaking: boolean;
}

export const MIGRATIONS: readonly Migration[] = [
  { version: 1, name: "0001_create_schema", sql: createSchema, breaking: true },
];
