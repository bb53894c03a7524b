import type {
  Customer,
  Ledger,
  LedgerLog,
  Now,
  PipelineState,
  Reject,
  Rejects,
} from "../../workers/monitor/view/view.ts";

export const MINUTE = 60_000;
const AT = Date.parse("2026-01-31T08:00:00Z");
export const RANGE = { from: AT - 60 * MINUTE, to: AT };
const LIMITS = { min: 30, max: 220, low: 45, high: 180 };
export const HARMLESS = "c-0017";

export async function html(element: unknown): Promise<string> {
  return String(await element);
}
const LONG_AGO = AT - 40 * MINUTE;

/**
 * Made-up results of the queries.
 *
 * @param text stands wherever the data of others is shown
 */
export function views(text: string) {
  const reject: Reject = {
    at: AT,
    record: "1-7",
    topic: text,
    partition: 3,
    offset: "7",
    reason: text,
    detail: text,
    payload: { encoding: "text", text, cut: true },
    emptied: false,
  };
  const now: Now = {
    at: AT,
    problems: [{ part: "lag", text }],
    hasStored: true,
    stands: false,
    unknownSince: null,
    readingsPerSecond: 99.5,
    delayMs: 400,
    lagRecords: 1_234,
    rollupLagSeconds: 61,
    customers: { reporting: 20, low: 1, high: 1, silent: 1 },
    longSilent: { customers: 1, newest: [text] },
    attention: [
      ...(["low", "high", "silent"] as const).map((kind) => {
        return { customerId: text, kind, since: AT - MINUTE, heartRate: 191, latestAt: AT };
      }),
      { customerId: text, kind: "high", since: AT - MINUTE, heartRate: 196, lately: 12 },
    ],
    distribution: [{ from: 40, customers: 1 }, { from: 70, customers: 18 }, { from: 190, customers: 1 }],
    limits: LIMITS,
  };
  const customer: Customer = {
    at: AT,
    customerId: text,
    range: RANGE,
    latest: { ts: AT, bpm: 191, anomaly: "high" },
    readings: 720,
    silences: [{ from: AT - 34 * MINUTE, to: AT - 28 * MINUTE }],
    episodes: [
      { kind: "high", began: AT - 12 * MINUTE - 4_000, ended: AT, extreme: 196, readings: 145 },
      { kind: "low", began: LONG_AGO, ended: LONG_AGO, extreme: 43, readings: 1 },
    ],
    hasMoreEpisodes: true,
    rejects: [reject],
    hasMoreRejects: true,
    limits: LIMITS,
  };
  const rejects: Rejects = {
    at: AT,
    filter: { reason: undefined, customerId: text, range: RANGE, before: undefined },
    rejected: 3,
    rejects: [reject],
    next: text,
    overTime: { stepMs: MINUTE, reasons: [{ reason: text, total: 3, counts: [0, 1, 2] }] },
  };
  return { now, pipeline: now as PipelineState, customer, rejects, ledger: ledgerOf(text) };
}

function ledgerOf(text: string): Ledger {
  const log: LedgerLog = {
    topic: text,
    partition: 0,
    current: true,
    first: "10",
    next: "1000020",
    stored: "1000000",
    duplicates: "1",
    rejected: "2",
    gaps: [{ cause: text, offsets: "7" }],
    unaccounted: "0",
    lag: null,
    lastBatch: AT,
  };
  return { at: AT, logs: [log, { ...log, current: false }], unaccounted: "0" };
}

/** Before the first record. */
export function emptyViews(): ReturnType<typeof views> {
  const { now, customer, rejects } = views(HARMLESS);
  const pipeline = { ...views(HARMLESS).pipeline, problems: [], hasStored: false };
  const none = { reporting: 0, low: 0, high: 0, silent: 0 };
  return {
    pipeline,
    now: { ...now, ...pipeline, customers: none, attention: [], distribution: [] },
    customer: {
      ...customer,
      latest: null,
      readings: 0,
      silences: [],
      episodes: [],
      hasMoreEpisodes: false,
      rejects: [],
      hasMoreRejects: false,
    },
    rejects: { ...rejects, rejects: [], next: undefined, overTime: { stepMs: MINUTE, reasons: [] } },
    ledger: { at: AT, logs: [], unaccounted: "0" },
  };
}
