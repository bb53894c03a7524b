/** A question to the database that is judged. Rejects when it is away; then nothing is known. */
export type Query = <T extends Record<string, unknown>>(
  sql: string,
  parameters?: readonly unknown[],
) => Promise<T[]>;

/** At most so many ids are named of one kind of difference. */
const NAMED_AT_MOST = 12;

/** A sentence about these ids, none when there are none. */
export function say(what: string, ids: readonly string[]): string[] {
  if (ids.length === 0) return [];
  const more = ids.length > NAMED_AT_MOST ? `, and ${ids.length - NAMED_AT_MOST} more` : "";
  return [`${what} ${ids.slice(0, NAMED_AT_MOST).join(", ")}${more}`];
}
