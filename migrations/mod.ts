/** The migrations in order. They are static text imports, so that a compiled program contains them. */
import createSchema from "./0001_create_schema.sql" with { type: "text" };
import addAnomalyEpisodes from "./0002_add_anomaly_episodes.sql" with { type: "text" };

export interface Migration {
  /** 1, 2, 3 ... without a gap. */
  readonly version: number;
  /** The file's name without its extension. */
  readonly name: string;
  readonly sql: string;
  /** Programs without this migration must not use the database. It raises `schema_generation`, which stops running ones. */
  readonly breaking: boolean;
}

export const MIGRATIONS: readonly Migration[] = [
  { version: 1, name: "0001_create_schema", sql: createSchema, breaking: true },
  { version: 2, name: "0002_add_anomaly_episodes", sql: addAnomalyEpisodes, breaking: false },
];
