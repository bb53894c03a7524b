import type { Buffer } from "node:buffer";
import { createHistogram } from "node:perf_hooks";
import type { RejectReason } from "../../_shared/record/heartbeat.ts";

/** Why the consumer will not store a record: the reject reason, or "duplicate" if it already has the reading. */
export type Fault = RejectReason | "duplicate";

export interface OutgoingRecord {
  readonly key: Buffer;
  /** Null for a tombstone. */
  readonly value: Buffer | null;
  /** Microseconds since the Unix epoch; undefined if the record is due at once. */
  readonly dueMicros?: number | undefined;
  readonly fault?: Fault | undefined;
}

export interface Batch {
  readonly partition: number;
  readonly records: readonly OutgoingRecord[];
}

export interface RecordSource {
  /** Starts the schedule at `nowMicros` since the Unix epoch. Each step waits until records are ready, and returns them. */
  readonly start: (nowMicros: number) => AsyncIterator<Iterable<OutgoingRecord>>;
  /** Number of records, if it is known. */
  readonly expected: number | undefined;
  /** The rate of the schedule, if it has one. The number of overdue records is computed from it. */
  readonly recordsPerSecond?: number | undefined;
}

export class Tally {
  /** Records that were taken from the source. */
  sent = 0;
  acknowledged = 0;
  /** Records that Kafka refused, or did not acknowledge before the program had to end. */
  failed = 0;
  /** Records of failed requests that were sent again. At most this many records can be in the topic twice. */
  retried = 0;
  /** Size of the keys and values of acknowledged records, before compression. */
  bytes = 0;
  maxLateMs = 0;
  skipped = 0;
  readonly skippedByReason = new Map<string, number>();
  readonly faults = new Map<string, number>();
  #startedMs = performance.now();
  readonly #latencyMicros = createHistogram();

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

  /** One `name value` per line, for people and for `awk`. */
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
      ["deliberately_bad", [...this.faults.values()].reduce((sum, count) => sum + count, 0)],
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

export function openProgress(write: (text: string) => void, expected: number | undefined) {
  let shownMs = -Infinity;
  return {
    show: (tally: Tally) => {
      if (performance.now() - shownMs < SHOWN_EVERY_MS) return;
      shownMs = performance.now();
      // The final carriage return lets a log line overwrite the progress bar.
      write(`\r\x1b[K${formatProgress(tally, expected)}\r`);
    },
    [Symbol.dispose]: () => {
      if (shownMs > 0) write("\r\x1b[K");
    },
  };
}

function formatProgress({ acknowledged, sent, seconds }: Tally, expected: number | undefined): string {
  const rate = Math.round(acknowledged / Math.max(seconds, 0.001));
  const facts = `${rate}/s, ${sent - acknowledged} in flight`;
  if (expected === undefined || expected === 0) return `${acknowledged} acknowledged, ${facts}`;
  const share = Math.min(1, acknowledged / expected);
  const bar = "#".repeat(Math.round(share * BAR_WIDTH)).padEnd(BAR_WIDTH, ".");
  const left = rate > 0 ? `, ${formatSeconds(Math.max(0, expected - acknowledged) / rate)} left` : "";
  return `[${bar}] ${Math.floor(share * 100)} % ${acknowledged}/${expected}, ${facts}${left}`;
}

/** At most two units: 45 s, 3 min 20 s, 2 h 5 min. */
export function formatSeconds(seconds: number): string {
  const whole = Math.ceil(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor(whole / 60) % 60} min`;
}
