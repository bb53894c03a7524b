/** The sentences about what is not well. */
import type { PipelineState, Problem } from "../view/view.ts";
import { countOf, formatCount, formatDuration } from "../view/words.ts";
import { MAX_CUSTOMERS, PENDING_UP_TO, type RollupState } from "./latest_readings.ts";

interface ConsumerStatus {
  readonly host: string;
  readonly reasons: readonly string[];
  readonly seenSeconds: number;
}

/** What one poll saw. */
export interface Sample {
  readonly at: number;
  readonly stored: number;
  readonly lag: number | null;
}

/** A consumer reports every 5 s. A person on duty should know soon, so this is shorter than the time of the alert rules (`RUNS`). */
export const REPORTS_WITHIN_MS = 10_000;
export const REPORTS = `seen_at > now() - interval '${REPORTS_WITHIN_MS} milliseconds'`;
const LATE_SECONDS = 60;
/**
 * A consumer updates the end of the log every 5 s, and between two updates the lag falls. So the lowest lag of each window is
 * compared.
 */
const WINDOW_MS = 10_000;
const GROWING_RECORDS = 1_000;
const MAX_REASONS = 20;
/** A consumer that gives up writes a reason that begins with this. */
const GAVE_UP = "consumer: ";

export interface Facts {
  /** The newest 100 statuses. The consumer that reported last is the first. */
  readonly consumers: readonly ConsumerStatus[];
  /** Maximum age of a report that counts: REPORTS_WITHIN_MS, and more just after an outage of the database. */
  readonly aliveMs: number;
  readonly lag: { readonly records: number | null; readonly seconds: number | null };
  readonly rollup: RollupState;
  readonly samples: readonly Sample[];
  /** Whether the latest readings leave out those that wait for the rollup. */
  readonly omitsPending: boolean;
  /** Whether the customers who were lately beyond a limit could not be read. */
  readonly omitsLately: boolean;
  /** Whether there are more customers than `LatestReadings` keeps. */
  readonly isFull: boolean;
  /** Undefined if no check succeeded. */
  readonly unaccounted: number | undefined;
}

/** Tells whether a consumer reads, and since when later readings may be missing. */
export function progressOf(
  { at, consumers, aliveMs, lastBatchAt, lag }: Pick<Facts, "consumers" | "aliveMs" | "lag"> & {
    readonly at: number;
    readonly lastBatchAt: number | null;
  },
): Pick<PipelineState, "stands" | "unknownSince"> {
  // A late rollup does not keep a consumer from reading.
  const reading = consumers.filter(({ reasons }) => reasons.every((reason) => partOf(reason) === "rollup"))
    .map(({ seenSeconds }) => at - seenSeconds * 1_000);
  const last = Math.max(lastBatchAt ?? -Infinity, ...reading);
  if (last !== -Infinity && at - last > REPORTS_WITHIN_MS) {
    return { stands: at - last > aliveMs, unknownSince: last };
  }
  const lateSeconds = lag.seconds ?? 0;
  return { stands: false, unknownSince: lateSeconds > LATE_SECONDS ? at - lateSeconds * 1_000 : null };
}

export function problemsOf(facts: Facts): Problem[] {
  return [
    ...consumerProblems(facts),
    ...lagProblems(facts),
    ...rollupProblems(facts),
    ...ledgerProblems(facts),
  ];
}

function consumerProblems({ consumers, aliveMs }: Facts): Problem[] {
  const reporting = consumers.filter(({ seenSeconds }) => seenSeconds * 1_000 <= aliveMs);
  const last = reporting[0];
  if (last === undefined) return [{ part: "consumer", text: whyNone(consumers[0]) }];
  if (last.seenSeconds * 1_000 > REPORTS_WITHIN_MS) {
    const age = duration(last.seenSeconds);
    const text =
      `The database answers again. The last report of a consumer is ${age} old, so it is unknown whether one runs.`;
    return [{ part: "consumer", text }];
  }
  const reasons = Map.groupBy(reporting.flatMap(({ reasons }) => reasons), (reason) => reason);
  // Sorted, so that the list does not jump between polls.
  return [...reasons].sort(([a], [b]) => a < b ? -1 : 1).slice(0, MAX_REASONS).map(([reason, { length }]) => {
    const subject = reporting.length === 1
      ? "The consumer is"
      : `${length} of ${reporting.length} consumers ${isOrAre(length)}`;
    return { part: partOf(reason), text: `${subject} not ready: ${reason}` };
  });
}

/** A consumer that stops in order deletes its status. If a status is left, its consumer was killed, gave up, or cannot write. */
function whyNone(last: ConsumerStatus | undefined): string {
  const meaning = "Readings wait in Kafka; none is lost.";
  const next = "Start one: deno task consume";
  if (last === undefined) {
    return `No consumer reports: none has run yet, or the last one was stopped. ${meaning} ${next}`;
  }
  const gaveUp = last.reasons.find((reason) => reason.startsWith(GAVE_UP))?.slice(GAVE_UP.length);
  const why = gaveUp === undefined ? `If it has ended, its log says why. ${next}` : `It gave up: ${gaveUp}`;
  return `No consumer has reported for ${
    duration(last.seenSeconds)
  }. ${meaning} The last one ran on ${last.host}. ${why}`;
}

/** The consumer's reasons begin with their subject. */
function partOf(reason: string): Problem["part"] {
  // It has just started.
  if (/ not (connected|joined) yet$/.test(reason)) return "consumer";
  if (/^(kafka|broker|topic|leaders|log|records)\b/.test(reason)) return "broker";
  return reason.startsWith("database") ? "database" : reason.startsWith("rollup") ? "rollup" : "consumer";
}

function lagProblems({ lag: { records, seconds }, samples }: Facts): Problem[] {
  const count = `${countOf(records ?? 0, "record")} in Kafka ${isOrAre(records ?? 0)} not stored yet`;
  const next = "If the lag does not fall, start more consumers, or look for what slows the database.";
  if ((seconds ?? 0) > LATE_SECONDS) {
    return [{ part: "lag", text: `The consumer is ${duration(seconds ?? 0)} behind: ${count}. ${next}` }];
  }
  const end = samples.at(-1)?.at ?? 0;
  const windows = Map.groupBy(samples, ({ at }) => Math.floor((end - at) / WINDOW_MS));
  const lowest = (ago: number) => Math.min(...(windows.get(ago) ?? []).map(({ lag }) => lag ?? 0));
  const [first, second, third] = [lowest(2), lowest(1), lowest(0)];
  const grows = first < second && second < third && third >= GROWING_RECORDS;
  const more = `${formatCount(third - first)} more than ${WINDOW_MS * 2 / 1_000} s ago`;
  return grows ? [{ part: "lag", text: `The lag grows: ${count}, ${more}. ${next}` }] : [];
}

function rollupProblems(
  { rollup: { records, seconds, cursor }, omitsPending, omitsLately, isFull }: Facts,
): Problem[] {
  const texts: string[] = [];
  if (cursor !== null) {
    const done = cursor === "infinity"
      ? "has not begun yet"
      : `has reached ${cursor.slice(0, 16).replace("T", " ")} UTC`;
    texts.push(
      `The rollup rebuilds minutes and latest readings, the newest first. It ${done}. Until it ends, customers can be ` +
        "missing here.",
    );
  }
  if (seconds > LATE_SECONDS || records > PENDING_UP_TO || omitsPending) {
    const age = duration(seconds);
    const behind = `${age} and ${countOf(records, "record")} behind`;
    const late = omitsPending ? "the page Now" : "the list of customers who were lately beyond a limit";
    const effect = `Until it has caught up, dashboards, the search and ${late} are as of ${age} ago.`;
    // Beyond this lag, `readSeries` leaves out what waits.
    const curves = records > PENDING_UP_TO ? " So are curves of more than 2 h." : "";
    texts.push(`The rollup is ${behind}. ${effect}${curves}`);
  }
  if (omitsLately) {
    texts.push("The customers who were lately beyond a limit could not be read; the monitor's log says why.");
  }
  if (isFull) {
    const most = countOf(MAX_CUSTOMERS, "customer");
    texts.push(`More than ${most} reported in the last day. This page leaves out the others.`);
  }
  return texts.map((text) => ({ part: "rollup", text }));
}

function ledgerProblems({ unaccounted }: Facts): Problem[] {
  if (unaccounted === 0) return [];
  const next = "deno task reconcile";
  const text = unaccounted === undefined
    ? `The ledger could not be added up; the monitor's log says why. To check it: ${next}`
    : `${countOf(unaccounted, "offset")} ${isOrAre(unaccounted)} unaccounted for. To see which: ${next}`;
  return [{ part: "ledger", text }];
}

const isOrAre = (count: number) => count === 1 ? "is" : "are";
const duration = (seconds: number) => formatDuration(seconds * 1_000);
