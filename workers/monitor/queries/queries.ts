import type { Database, Session } from "../../_shared/postgres.ts";
import type {
  Customer,
  CustomerReading,
  Ledger,
  Now,
  Range,
  RejectFilter,
  Rejects,
  Series,
} from "../view/view.ts";
import { readCustomer } from "./customer.ts";
import { readLedger } from "./ledger.ts";
import { createNow } from "./now.ts";
import { readCsv, readSeries, readTail, search } from "./readings.ts";
import { readRejects } from "./rejects.ts";
import { inSnapshot } from "./snapshot.ts";

const STATEMENT_MS = 5_000;

/**
 * All questions of the pages. Equal questions at the same time share one query. Each query has a time limit and a row limit.
 * The callers check ids (`isCustomerId`) and ranges (`rangeProblem`).
 */
export interface Queries {
  /** Remembers the last snapshots, for the rate and for the list of customers who need attention. */
  readonly now: () => Promise<Now>;
  readonly customer: (id: string, range: Range) => Promise<Customer>;
  /** Raw readings up to 2 h, else minutes. */
  readonly series: (id: string, range: Range) => Promise<Series>;
  /** The readings of several customers beyond `after`, the oldest first. */
  readonly tail: (
    follow: readonly { readonly id: string; readonly after: number }[],
  ) => Promise<readonly CustomerReading[]>;
  /** Customer ids that begin with the text, at most 20. */
  readonly search: (text: string) => Promise<readonly string[]>;
  readonly rejects: (filter: RejectFilter) => Promise<Rejects>;
  readonly ledger: () => Promise<Ledger>;
  /** Pieces of CSV text, at most 1,000,000 rows. */
  readonly csv: (id: string, range: Range) => AsyncIterable<string>;
}

/** Runs a query, counts it under its name, and translates its error. */
export type Measured = <T>(name: string, query: () => Promise<T>) => Promise<T>;

/** @param database from `openReader` */
export function createQueries(database: Database, measured: Measured): Queries {
  const inFlight = new Map<string, Promise<unknown>>();
  /** Callers with equal arguments share the query that is running. */
  const shared = <A extends unknown[], T>(name: string, ask: (...args: A) => Promise<T>) => (...args: A) => {
    const key = `${name} ${JSON.stringify(args)}`;
    const answer = inFlight.get(key) as Promise<T> | undefined ??
      measured(name, () => ask(...args)).finally(() => inFlight.delete(key));
    inFlight.set(key, answer);
    return answer;
  };
  const inOne = <T>(work: (session: Session) => Promise<T>) => inSnapshot(database, work, STATEMENT_MS);
  return {
    now: shared("now", createNow(database)),
    customer: shared("customer", (id, range) => inOne((session) => readCustomer(session, id, range))),
    series: shared("series", (id, range) => readSeries(database, id, range)),
    tail: shared("tail", (follow) => readTail(database, follow)),
    search: shared("search", (text) => search(database, text)),
    rejects: shared("rejects", (filter) => inOne((session) => readRejects(session, filter))),
    ledger: shared("ledger", () => readLedger(database)),
    csv: async function* (id, range) {
      const pieces = readCsv(database, id, range);
      const next = () => measured("csv", () => pieces.next());
      try {
        for (let piece = await next(); !piece.done; piece = await next()) yield piece.value;
      } finally {
        await pieces.return(undefined);
      }
    },
  };
}
