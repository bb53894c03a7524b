/** Records on their way to Kafka, and what became of them: counted, shown on a terminal, and told at the end. */
import type { Buffer } from "node:buffer";
import { createHistogram } from "node:perf_hooks";
import type { RejectReason } from "../../_shared/record/heartbeat.ts";

/** Why a consumer will not store a record: the reason it rejects it with, or that it has the reading already. */
export type Fault = RejectReason | "duplicate";

export interface OutgoingRecord {
  readonly key: Buffer;
  /** null is a tombstone. */
  readonly value: Buffer | null;
  /** When it is to be offered, microseconds since the Unix epoch; undefined: at once. */
  readonly dueMicros?: number | undefined;
  /** Why a consumer will not store it. */
  readonly fault?: Fault | undefined;
}

/** Records that travel in one request. */
export interface Batch {
  readonly partition: number;
  readonly records: readonly OutgoingRecord[];
}

/** Where records come from: a schedule or a file. */
export interface RecordSource {
  /** Begins at this instant, microseconds since the Unix epoch. A piece is waited for, the records in it are there. */
  readonly start: (nowMicros: number) => AsyncIterator<Iterable<OutgoingRecord>>;
  /** Records to come, where it is known. */
  readonly expected: number | undefined;
  /** How fast the schedule offers them, where it has a rate: to tell how many are overdue. */
  readonly recordsPerSecond?: number | undefined;
}

export class Tally {
  /** Taken from the source and offered to Kafka. */
  sent = 0;
  acknowledged = 0;
  /** Refused, or not acknowledged when the program had to end. */
  failed = 0;
  /** Records of requests whose answer was lost and that were sent again: at most as many may be in the topic twice. */
  retried = 0;
  /** Keys and values of acknowledged records, before compression. */
  bytes = 0;
  maxLateMs = 0;
  /** Rows of a recording that could not be read. */
  skipped = 0;
  readonly skippedByReason = new Map<string, number>();
  readonly faults = new Map<string, number>();
  #startedMs = performance.now();
  readonly #latencyMicros = createHistogram();

  /** Begins to count the seconds. */
  start(): void {
    this.#startedMs = performance.now();
  }

  offered({ fault }: OutgoingRecord, lateMs: number): void {
    this.sent++;
    if (lateMs > this.maxLateMs) this.maxLateMs = lateMs;
    if (fault !== undefined) countIn(this.faults, fault);
  }

  published(records: number, bytes: number, durationMs: number): void {
    this.acknowledged += records;
    this.bytes += bytes;
    this.#latencyMicros.record(Math.max(1, Math.round(durationMs * 1000)));
  }

  get seconds(): number {
    return (performance.now() - this.#startedMs) / 1000;
  }

  /** One `name value` a line, for people and for `awk`. */
  toString(): string {
    const { seconds } = this;
    const latency = (percentile: number) =>
      this.acknowledged === 0 ? 0 : this.#latencyMicros.percentile(percentile) / 1000;
    const each = (counts: ReadonlyMap<string, number>) =>
      [...counts].sort().map(([name, count]): [string, number] => [`  ${name}`, count]);
    const rows: [string, string | number][] = [
      ["sent", this.sent],
      ["acknowledged", this.acknowledged],
      ["failed", this.failed],
      ["retried", this.retried],
      ["records_per_second", (this.acknowledged / seconds).toFixed(1)],
      ["duration_seconds", seconds.toFixed(3)],
      ["bytes", this.bytes],
      ["ack_latency_p50_ms", latency(50).toFixed(1)],
      ["ack_latency_p99_ms", latency(99).toFixed(1)],
      ["max_late_ms", this.maxLateMs.toFixed(0)],
      ["skipped_rows", this.skipped],
      ...each(this.skippedByReason),
      ["deliberately_bad", [...this.faults.values()].reduce((sum, one) => sum + one, 0)],
      ...each(this.faults),
    ];
    const width = Math.max(...rows.map(([name]) => name.length));
    return rows.map(([name, value]) => `${name.padEnd(width)}  ${value}`).join("\n");
  }
}

export function countIn(counts: Map<string, number>, name: string): void {
  counts.set(name, (counts.get(name) ?? 0) + 1);
}

const BAR_WIDTH = 30;
const SHOWN_EVERY_MS = 100;

/** A line on a terminal that shows how far the work is; with a bar when it is known how many records there are. */
export function openProgress(write: (text: string) => void, expected: number | undefined) {
  let shownMs = -Infinity;
  return {
    show: (tally: Tally) => {
      if (performance.now() - shownMs < SHOWN_EVERY_MS) return;
      shownMs = performance.now();
      // The cursor goes back to the start, so that a log line is written over the bar and not behind it.
      write(`\r\x1b[K${formatProgress(tally, expected)}\r`);
    },
    [Symbol.dispose]: () => {
      if (shownMs > 0) write("\r\x1b[K");
    },
  };
}

function formatProgress({ acknowledged, sent, seconds }: Tally, expected: number | undefined): string {
  const rate = Math.round(acknowledged / Math.max(seconds, 0.001));
  const facts = `${rate}/s, ${sent - acknowledged} under way`;
  if (expected === undefined || expected === 0) return `${acknowledged} acknowledged, ${facts}`;
  const share = Math.min(1, acknowledged / expected);
  const bar = "#".repeat(Math.round(share * BAR_WIDTH)).padEnd(BAR_WIDTH, ".");
  const left = rate > 0 ? `, ${formatSeconds(Math.max(0, expected - acknowledged) / rate)} left` : "";
  return `[${bar}] ${Math.floor(share * 100)} % ${acknowledged}/${expected}, ${facts}${left}`;
}

/** As a person would say it, in two units at most: 45 s, 3 min 20 s, 2 h 5 min. */
export function formatSeconds(seconds: number): string {
  const whole = Math.ceil(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor(whole / 60) % 60} min`;
}
