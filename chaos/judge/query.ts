/** Runs one statement. Rejects if the database is unavailable. */
export type Query = <T extends Record<string, unknown>>(
  sql: string,
  parameters?: readonly unknown[],
) => Promise<T[]>;

export interface Found {
  /** One sentence for each kind of difference, with record ids. */
  readonly problems: string[];
  readonly rows: number;
  /** Number of records with neither a row nor a reject. */
  readonly lost: number;
  /** Number of rows beyond the first one of their record. */
  readonly storedTwice: number;
}

const MAX_IDS = 12;

export function problemAbout(what: string, ids: readonly string[]): string[] {
  if (ids.length === 0) return [];
  const more = ids.length > MAX_IDS ? `, and ${ids.length - MAX_IDS} more` : "";
  return [`${what} ${ids.slice(0, MAX_IDS).join(", ")}${more}`];
}
