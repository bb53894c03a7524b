import { printable } from "../_shared/output.ts";
import {
  cancelOnAbort,
  type Database,
  databaseFailure,
  type Session,
  sqlState,
} from "../_shared/postgres.ts";
import type { Printer, Row } from "./print_rows.ts";

/** A transaction lasts until its output is read. If nobody reads for a minute, the server ends it. */
export const SQL_LIMITS = {
  statementMs: 30_000,
  lockMs: 5_000,
  idleInTransactionMs: 60_000,
  transactionMs: 3_600_000,
};

/** Bounds the memory: the payload of a reject can have 2 MiB, and twice as many hexadecimal digits. */
const ROWS_AT_ONCE = 50;

/** The protocol of prepared statements refuses several statements. */
const ONE_STATEMENT = { queryMode: "extended" };
/** Each value as PostgreSQL writes it, because the driver would round long numbers and instants. */
const AS_TEXT = { rowMode: "array", types: { getTypeParser: () => String } } as const;

const FIRST = `
  set local datestyle = 'ISO';
  set local intervalstyle = 'postgres';
  set local bytea_output = 'hex';
  set local cursor_tuple_fraction = 1`;

type Result =
  /** `isCut`: the query has more rows than the limit. */
  | { readonly kind: "done"; readonly isCut: boolean }
  | { readonly kind: "failed"; readonly text: string }
  | { readonly kind: "cancelled" };

/**
 * Runs one statement and prints its rows.
 *
 * @param limit number of rows to print, or Infinity
 * @throws PipelineError if the server cannot be reached
 */
export async function runQuery(
  database: Database,
  { sql, limit }: { sql: string; limit: number },
  printer: Printer,
  { signal }: { signal: AbortSignal },
): Promise<Result> {
  const inTransaction = <T>(work: (session: Session) => Promise<T>) =>
    database.transaction(async (session) => {
      signal.throwIfAborted();
      using _ = await cancelOnAbort(database, session, signal);
      return await work(session);
    }, FIRST);
  try {
    const isCut = await inTransaction((session) => printByCursor(session, sql, limit, printer)) ??
      await inTransaction((session) => printAtOnce(session, sql, limit, printer));
    if (signal.aborted) return { kind: "cancelled" };
    printer.end();
    return { kind: "done", isCut };
  } catch (error) {
    if (signal.aborted) return { kind: "cancelled" };
    if (sqlState(error) === undefined) throw databaseFailure("run the query", database.target, error);
    return { kind: "failed", text: explain(error as ServerError, sql) };
  }
}

/** @returns whether there are more rows, or undefined if the statement cannot have a cursor */
async function printByCursor(session: Session, sql: string, limit: number, printer: Printer) {
  const declare = { text: `declare result no scroll cursor for ${sql}`, ...ONE_STATEMENT };
  if (await session.query(declare).then(() => false, () => true)) return undefined;
  for (let left = limit;;) {
    // One row more than the limit shows whether there are more.
    const wanted = Math.min(ROWS_AT_ONCE, left + 1);
    const { fields, rows } = await session.query<Row>({ text: `fetch ${wanted} from result`, ...AS_TEXT });
    const isRead = printer.print(fields, rows.slice(0, left));
    left -= rows.length;
    if (!isRead || left < 0 || rows.length < wanted) return left < 0;
  }
}

/** For statements such as EXPLAIN and SHOW, and for those that PostgreSQL refuses: the error then has the right position. */
async function printAtOnce(session: Session, sql: string, limit: number, printer: Printer) {
  const { fields, rows } = await session.query<Row>({ text: sql, ...ONE_STATEMENT, ...AS_TEXT });
  printer.print(fields, rows.slice(0, limit));
  return rows.length > limit;
}

type ServerError = Error & { code: string; position?: string; detail?: string; hint?: string };

const WHAT_HELPS: readonly (readonly [error: RegExp, help: string])[] = [
  [
    /^(25006|42501)/,
    "This task only reads. To change the database, log in as its owner with another program.",
  ],
  [/^57014.*statement timeout/, "A statement may take 30 s: ask for a shorter time, or for fewer customers."],
  [
    /^(42P01|42883).*public\./,
    "An older schema may lack it: `deno task consume --migrate-only` updates the schema.",
  ],
  [/^42601.*multiple commands/, "Run one statement at a time."],
];

/** Describes an error as psql does, with the line and the position in it. */
function explain({ message, code, position, detail, hint }: ServerError, sql: string): string {
  const lines = [`ERROR: ${message} (SQLSTATE ${code})`];
  if (position !== undefined) {
    // PostgreSQL counts characters. Some have two units in a string of JavaScript.
    const before = [...sql].slice(0, Number(position) - 1).join("");
    const begin = `LINE ${before.split("\n").length}: ${printable(before.replace(/^.*\n/s, ""))}`;
    lines.push(
      begin + printable(sql.slice(before.length).replace(/\n.*$/s, "")),
      `${" ".repeat(begin.length)}^`,
    );
  }
  if (detail !== undefined) lines.push(`DETAIL: ${detail}`);
  if (hint !== undefined) lines.push(`HINT: ${hint}`);
  lines.push(...WHAT_HELPS.filter(([error]) => error.test(`${code} ${message}`)).map(([, help]) => help));
  return lines.join("\n");
}
