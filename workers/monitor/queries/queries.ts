import type { Database, Session } from "../../_shared/postgres.ts";
import type { PipelineState, Range, RejectFilter } from "../view/view.ts";
import { readCustomer } from "./customer.ts";
import { readLedger } from "./ledger.ts";
import { createNow } from "./now.ts";
import { PipelineWatch } from "./pipeline.ts";
import { type Follow, readCsv, readSeries, readTail, search } from "./readings.ts";
import { readRejects, REJECTED, type Rejected } from "./rejects.ts";
import { firstRow, inSnapshot, type Measured } from "./snapshot.ts";

/** All pages show the state of the pipeline, and some are polled more often. */
const STATE_EVERY_MS = 1_000;

export type Queries = ReturnType<typeof createQueries>;

/**
 * All questions of the pages. Equal questions at the same time share one query. Each query has a time limit and a row limit.
 * The callers check ids and ranges (`parameters.ts`).
 *
 * @param database from `openReader`
 */
export function createQueries(database: Database, measured: Measured) {
  const inFlight = new Map<string, Promise<unknown>>();
  /** Callers with equal arguments share the query that is running. */
  const shared = <A extends unknown[], T>(name: string, ask: (...args: A) => Promise<T>) => (...args: A) => {
    const key = `${name} ${JSON.stringify(args)}`;
    const answer = inFlight.get(key) as Promise<T> | undefined ??
      measured(name, () => ask(...args)).finally(() => inFlight.delete(key));
    inFlight.set(key, answer);
    return answer;
  };
  const inOne = <T>(work: (session: Session) => Promise<T>) => inSnapshot(database, work);
  const watch = new PipelineWatch(database, measured);
  const askState = shared("state", () => watch.state());
  let state: Promise<PipelineState> | undefined;
  let stateAt = 0;
  return {
    /** Remembers the last snapshots, for the rate and for the list of customers who need attention. */
    now: shared("now", createNow(database, watch, measured)),
    /** At most a second old. */
    state: () => {
      if (state === undefined || performance.now() - stateAt > STATE_EVERY_MS) {
        [state, stateAt] = [askState(), performance.now()];
      }
      return state;
    },
    customer: shared("customer", (id: string, range: Range) => {
      return inOne((session) => readCustomer(session, id, range));
    }),
    /** Raw readings up to 2 h, else minutes. */
    series: shared("series", (id: string, range: Range) => readSeries(database, id, range)),
    /** The readings of several customers beyond `after`, the oldest first. */
    tail: shared("tail", (follow: readonly Follow[]) => readTail(database, follow)),
    /** Customer ids that begin with the text, at most 20. */
    search: shared("search", (text: string) => search(database, text)),
    rejects: shared("rejects", (filter: RejectFilter) => inOne((session) => readRejects(session, filter))),
    rejected: shared("rejected", () => inOne((session) => firstRow<Rejected>(session, REJECTED))),
    ledger: shared("ledger", () => inOne(readLedger)),
    /** Pieces of CSV text. */
    csv: async function* (id: string, range: Range): AsyncGenerator<string> {
      const pieces = readCsv(database, id, range);
      const next = () => measured("csv", () => pieces.next());
      for (let piece = await next(); !piece.done; piece = await next()) yield piece.value;
    },
  };
}
