/** Which of PostgreSQL's answers to an insert are about the row itself: only those may cost a record. */
import { findInCauses } from "./errors.ts";
import { sqlState } from "./postgres.ts";

/**
 * What a value itself can be refused for: too long (22001), out of range (22003), no instant (22007, 22008), characters
 * that the database cannot hold (22021, 22P05). Other states of class 22 speak of a COPY stream that does not fit the
 * table, of an exhausted sequence, of the code of a trigger.
 */
const VALUE_STATES = /^22(001|003|007|008|021|P05)$/;
const CHECK_VIOLATION = "23514";
const UNIQUE_VIOLATION = "23505";

/**
 * Whether PostgreSQL refused a row for its own values, whatever else the database holds: then waiting cannot cure it.
 * Only a named CHECK constraint looks at nothing but the row. Without a name, 23514 means that no partition takes the
 * row; keys, foreign keys and NOT NULL depend on other rows, or on columns that this program does not write.
 */
export function isDataError(error: unknown): boolean {
  const state = sqlState(error) ?? "";
  if (state === CHECK_VIOLATION) return findInCauses(error, "constraint") !== undefined;
  // Where it happened is told for the code of functions: a trigger that fails says nothing about the row.
  return VALUE_STATES.test(state) && !/\bPL\//.test(String(findInCauses(error, "where")));
}

/**
 * Whether the key of a row may be in the table already. The answer does not tell which index it was: each partition has
 * one with a name of its own, and its columns are told only to who may read the partition. An insert that skips the keys
 * it knows does tell: it fails only for an index that is not the key.
 */
export function mayRepeatKey(error: unknown): boolean {
  return sqlState(error) === UNIQUE_VIOLATION;
}
