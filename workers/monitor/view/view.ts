/** Folder `view`: the results of the queries, which the pages show and the live streams send. Instants are milliseconds since the Unix epoch. */

/** Beats per minute: readings outside `min` to `max` are rejected, outside `low` to `high` they are anomalies. */
export interface BpmLimits {
  readonly min: number;
  readonly max: number;
  readonly low: number;
  readonly high: number;
}

/** After this time without a reading, a customer is silent and an episode has ended. `public.anomaly_episodes` has the same time. */
export const SILENT_AFTER_MS = 5 * 60_000;
/** After a longer time without a reading, the pages do not say that an episode goes on. */
export const RECENT_MS = 60_000;

export interface Reading {
  /** With a fraction, exact to the microsecond. */
  readonly ts: number;
  readonly bpm: number;
  readonly anomaly: "low" | "high" | null;
}

export interface CustomerReading extends Reading {
  readonly id: string;
}

export interface Problem {
  readonly part: "database" | "broker" | "consumer" | "rollup" | "lag" | "ledger";
  /** A sentence for the person on duty, without a customer's id. */
  readonly text: string;
}

export interface Attention {
  readonly customerId: string;
  /** `low` and `high`: the latest reading, or at least three of the last 10 minutes, are beyond a limit. `silent`: no reading for SILENT_AFTER_MS. */
  readonly kind: "low" | "high" | "silent";
  /** The first reading of the episode, the last reading before the silence, or the first minute with a reading of `lately`. */
  readonly since: number;
  /** Of the latest reading. With `lately`: the lowest or highest of those beyond the limit. */
  readonly heartRate: number;
  /** When the latest reading was measured. Not with `lately`. */
  readonly latestAt?: number;
  /** Readings beyond a limit in the last 10 minutes. Only if the latest reading is not. */
  readonly lately?: number;
}

/** Rows of the list for those who were lately beyond a limit, beside the others: many silent customers must not hide them. */
export const LATELY_ROWS = 20;

export const STEP_BPM = 5;

/** What every page says about the pipeline. */
export interface PipelineState {
  /** The instant of the snapshot, by the database's clock. */
  readonly at: number;
  /** Empty: all is well. */
  readonly problems: readonly Problem[];
  /** Whether a reading was ever stored. */
  readonly hasStored: boolean;
  /** Whether no consumer reads. */
  readonly stands: boolean;
  /** After this instant readings may be missing, because no consumer reads, or the consumer is late. Null if what is stored is current. */
  readonly unknownSince: number | null;
}

/** The page "Now". */
export interface Now extends PipelineState {
  /** Null until two snapshots exist. */
  readonly readingsPerSecond: number | null;
  /** Median time from a measurement until it is stored. Below 0: the clock that measured is ahead. Null if nothing was stored lately. */
  readonly delayMs: number | null;
  /** Kafka offsets that are not stored yet. Null if no running consumer knows the end of the log. */
  readonly lagRecords: number | null;
  readonly rollupLagSeconds: number;
  /** Customers by their latest reading, at `unknownSince` if that is known. `reporting` includes those beyond a limit. `silent` ends after a day of silence. */
  readonly customers: Readonly<Record<"reporting" | "low" | "high" | "silent", number>>;
  /** Customers without a reading for more than a day, and the ids of the newest five. Null if they could not be counted in time. */
  readonly longSilent: { readonly customers: number; readonly newest: readonly string[] } | null;
  /** First those beyond a limit, then the silent ones, the longest first; then those who were lately beyond a limit, the most readings first. At most ATTENTION_ROWS, and LATELY_ROWS of `lately`. */
  readonly attention: readonly Attention[];
  /** Reporting customers by heart rate, in steps of STEP_BPM; `from` is inclusive. Steps without customers are left out. */
  readonly distribution: readonly { readonly from: number; readonly customers: number }[];
  readonly limits: BpmLimits;
}

export interface Range {
  readonly from: number;
  readonly to: number;
}

const HOUR_MS = 3_600_000;
export const MAX_RANGE_DAYS = 31;
/** Ranges that end now. */
export const PRESETS = {
  "1h": { ms: HOUR_MS, name: "last hour" },
  "8h": { ms: 8 * HOUR_MS, name: "last 8 hours" },
  "24h": { ms: 24 * HOUR_MS, name: "last 24 hours" },
  "7d": { ms: 7 * 24 * HOUR_MS, name: "last 7 days" },
};
export type Preset = keyof typeof PRESETS;

/** Consecutive readings beyond one limit. A reading within the limits, or 5 min of silence, separates two episodes. */
export interface Episode {
  readonly kind: "low" | "high";
  readonly began: number;
  /** The last reading beyond the limit. */
  readonly ended: number;
  /** The lowest heart rate of a low episode, the highest of a high one. */
  readonly extreme: number;
  readonly readings: number;
}

/** Columns for the chart. `ts` ascends. */
export type Series =
  | {
    readonly kind: "raw";
    readonly ts: readonly number[];
    readonly bpm: readonly number[];
    readonly anomaly: readonly ("low" | "high" | null)[];
    /** The range has more rows than are sent: the rest, at its end, is missing. */
    readonly truncated: boolean;
  }
  | {
    readonly kind: "minute";
    readonly ts: readonly number[];
    readonly low: readonly number[];
    readonly mean: readonly number[];
    readonly high: readonly number[];
    readonly readings: readonly number[];
    /** Readings of the minute below and above the limits that applied when they arrived. */
    readonly lows: readonly number[];
    readonly highs: readonly number[];
    readonly truncated: boolean;
  };

/** The page "Customer". */
export interface Customer {
  readonly at: number;
  readonly customerId: string;
  readonly range: Range;
  /** Null if the customer has no reading at all. */
  readonly latest: Reading | null;
  /** How many readings the range has. */
  readonly readings: number;
  /**
   * Times of more than SILENT_AFTER_MS without a reading, the newest first. Each begins with the range or the last reading before
   * it. One that goes on ends at `at`, also if the range ends earlier.
   */
  readonly silences: readonly Range[];
  /** The newest first. */
  readonly episodes: readonly Episode[];
  /** Whether the range has more episodes than `episodes`. */
  readonly hasMoreEpisodes: boolean;
  /** The newest rejects of this customer that arrived in the range. */
  readonly rejects: readonly Reject[];
  readonly hasMoreRejects: boolean;
  readonly limits: BpmLimits;
}

export interface RejectFilter {
  readonly reason: string | undefined;
  readonly customerId: string | undefined;
  readonly range: Range;
  /** Only older rejects than this one: the value of its `record`. */
  readonly before: string | undefined;
  /** Only this reject, whatever its range. */
  readonly record?: string | undefined;
}

export interface Reject {
  readonly at: number;
  /** Value of `record` in the reject's own address: ledger row and offset. */
  readonly record: string;
  readonly topic: string;
  readonly partition: number;
  readonly offset: string;
  readonly reason: string;
  readonly detail: string;
  /** Null for a tombstone, and after retention emptied the reject. */
  readonly payload:
    | { readonly encoding: "text" | "hex"; readonly text: string; readonly cut: boolean }
    | null;
  readonly emptied: boolean;
}

/** The page "Rejects". */
export interface Rejects {
  readonly at: number;
  readonly filter: RejectFilter;
  /** All records that were ever rejected. An open page counts the new ones by it. */
  readonly rejected: number;
  /** The newest first. */
  readonly rejects: readonly Reject[];
  /** Value of `before` for the next page, or undefined on the last one. */
  readonly next: string | undefined;
  /** Counts by reason in equal steps of the range, in the order of time. */
  readonly overTime: { readonly stepMs: number; readonly reasons: readonly RejectCounts[] };
}

export interface RejectCounts {
  readonly reason: string;
  readonly total: number;
  readonly counts: readonly number[];
}

/** The page "Ledger". */
export interface Ledger {
  readonly at: number;
  readonly logs: readonly LedgerLog[];
  /** Sum over all logs. 0 does not mean that nothing was lost: records that Kafka deleted before they were read count as gaps. */
  readonly unaccounted: string;
}

/** One incarnation of a Kafka partition. Counts of offsets are texts, because they can exceed 2^53. */
export interface LedgerLog {
  readonly topic: string;
  readonly partition: number;
  /** Whether it is the newest incarnation of its partition. */
  readonly current: boolean;
  readonly first: string;
  readonly next: string;
  readonly stored: string;
  readonly duplicates: string;
  readonly rejected: string;
  readonly gaps: readonly { readonly cause: string; readonly offsets: string }[];
  readonly unaccounted: string;
  /** Null for an older incarnation, and if no running consumer knows the end of the log. */
  readonly lag: string | null;
  readonly lastBatch: number | null;
}
