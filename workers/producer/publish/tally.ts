/** What became of the records: counted while publishing, told at the end. */
import { createHistogram } from "node:perf_hooks";
import type { Fault } from "../faults.ts";
import type { OutgoingRecord } from "../generate.ts";
import { SkippedRows } from "../skipped_rows.ts";

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
  skipped = new SkippedRows();
  /** Why the source ended before its end. */
  sourceError: unknown;
  readonly faults = new Map<Fault, number>();
  readonly #startedMs = performance.now();
  readonly #latencyMicros = createHistogram();

  offered({ fault }: OutgoingRecord): void {
    this.sent++;
    if (fault !== undefined) this.faults.set(fault, (this.faults.get(fault) ?? 0) + 1);
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
      ["skipped_rows", this.skipped.rows],
      ...[...this.skipped.byReason].sort().map(([reason, rows]): [string, number] => [`  ${reason}`, rows]),
      ["deliberately_bad", [...this.faults.values()].reduce((sum, one) => sum + one, 0)],
      ...[...this.faults].sort().map(([fault, records]): [string, number] => [`  ${fault}`, records]),
    ];
    const width = Math.max(...rows.map(([name]) => name.length));
    return rows.map(([name, value]) => `${name.padEnd(width)}  ${value}`).join("\n");
  }
}
