/** A question to the database that is judged. Rejects when it is away; then nothing is known. */
export type Query = <T extends Record<string, unknown>>(
  sql: string,
  parameters?: readonly unknown[],
) => Promise<T[]>;

/** What the judge found in one part of what it looks at. */
export interface Found {
  /** A sentence for each kind of difference, with the ids of its records. */
  readonly problems: string[];
  /** Rows of the table that were looked at. */
  readonly rows: number;
  /** Records without a row or a reject. */
  readonly lost: number;
}

/** At most so many ids are named of one kind of difference. */
const NAMED_AT_MOST = 12;

/** A sentence about these ids, none when there are none. */
export function say(what: string, ids: readonly string[]): string[] {
  if (ids.length === 0) return [];
  const more = ids.length > NAMED_AT_MOST ? `, and ${ids.length - NAMED_AT_MOST} more` : "";
  return [`${what} ${ids.slice(0, NAMED_AT_MOST).join(", ")}${more}`];
}
