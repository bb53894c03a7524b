/** Has one method for each fact. The method writes the log line and updates the metrics. */
import { Counter, Gauge, Histogram, type Registry } from "prom-client";
import type { Log } from "../../_shared/telemetry.ts";
import type { BatchPosition } from "../../_shared/kafka/sender.ts";
import { type Batch, countIn, formatSeconds, type OutgoingRecord, Tally } from "./records.ts";

/** Number of skipped rows that are logged. The others are only counted. */
const SHOWN_ROWS = 5;
/** Longer than a tick of the schedule and a slow request, which are normal. */
const LATE_MS = 1_000;
/** Well below LATE_MS, so that the two messages do not alternate. */
const ON_TIME_MS = 100;

export class ProducerTelemetry {
  readonly tally = new Tally();
  readonly #metrics;
  #interval = emptyInterval();
  /** The number of records. It is an estimate, because a sensor without contact sends no record. */
  expected: number | undefined;
  /** Starts as an outage, so that `/readyz` fails until the topic is found. */
  #outage: ReturnType<typeof beginOutage> | undefined = beginOutage();
  #backlogRecords = 0;
  #late = false;

  constructor(
    private readonly log: Log,
    metrics: Registry,
    // At 100,000 records per second even calls of a log at a disabled level cost time.
    private readonly options: { readonly eachRecord: boolean },
  ) {
    const of = (name: string, help: string) => ({ name, help, registers: [metrics] });
    const failures = "Publish requests that failed; each is retried, unless Kafka refused the record itself.";
    this.#metrics = {
      published: new Counter(of("heartbeat_published_total", "Records that Kafka acknowledged.")),
      failures: new Counter(of("heartbeat_publish_failures_total", failures)),
      duration: new Histogram({
        ...of("heartbeat_publish_duration_seconds", "Time from a publish request to its acknowledgement."),
        buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
      }),
      backlog: new Gauge(
        of("heartbeat_publish_backlog_records", "Records that are due and not acknowledged yet."),
      ),
    };
  }

  /** Why the producer is not ready; empty when Kafka takes records. */
  get notReady(): readonly string[] {
    if (this.#outage === undefined) return [];
    const { since, partitions } = this.#outage;
    const numbers = [...partitions].sort((a, b) => a - b).join(", ");
    const of = numbers === "" ? "" : ` of partition ${numbers}`;
    return [`Kafka has not taken a record${of} for ${secondsSince(since)} s`];
  }

  rowSkipped(reason: string, description: string): void {
    countIn(this.tally.skippedByReason, reason);
    if (this.tally.skipped++ >= SHOWN_ROWS) return;
    this.log.warning("row.skipped", `skipped ${description}`, { reason });
  }

  topicCreated(topic: string, partitions: number): void {
    this.log.info("topic.created", "the topic was missing and has been created", { topic, partitions });
  }

  topicFound(topic: string, partitions: number): void {
    this.#recovered();
    this.#interval = emptyInterval();
    const total = this.expected === undefined ? "" : ` about ${this.expected} records`;
    this.log.info("topic.found", `publishing${total}`, { topic, partitions });
  }

  batchPublished(batch: Batch, { partition, firstOffset }: BatchPosition, durationMs: number): void {
    const { records } = batch;
    const bytes = records.reduce((sum, { key, value }) => sum + key.length + (value?.length ?? 0), 0);
    this.tally.published(records.length, bytes, durationMs);
    this.#metrics.published.inc(records.length);
    this.#metrics.duration.observe(durationMs / 1000);
    this.#interval.records += records.length;
    this.#interval.requests++;
    this.#interval.bytes += bytes;
    this.#interval.offsets.set(partition, firstOffset + BigInt(records.length - 1));
    this.#recovered(batch.partition);
    if (!this.options.eachRecord) return;
    for (const [index, { key, value, fault }] of records.entries()) {
      this.log.debug("record.published", "published", {
        partition,
        offset: firstOffset + BigInt(index),
        key: key.toString(),
        value: value === null ? null : value.toString(),
        ...(fault === undefined ? {} : { fault }),
      });
    }
  }

  /**
   * Logs one warning for each outage. An outage lasts until each partition that failed takes records again.
   *
   * @param batch undefined when the lookup of the topic failed
   */
  publishFailed(error: Error, attempt: number, retryInMs: number, batch?: Batch): void {
    const records = batch?.records.length ?? 0;
    this.#metrics.failures.inc();
    if (attempt === 1) this.tally.retried += records;
    this.#outage ??= beginOutage();
    if (batch !== undefined) this.#outage.partitions.add(batch.partition);
    const context = { attempt, records, retry_in_ms: Math.round(retryInMs) };
    // A failure that the first retry cures is not worth a warning.
    if (attempt === 1 || this.#outage.warned) return this.log.debug("publish.failed", error.message, context);
    this.#outage.warned = true;
    this.log.warning(
      "kafka.unavailable",
      `${error.message}; the producer retries until it succeeds`,
      context,
    );
  }

  recordRefused(error: Error, { key, value }: OutgoingRecord): void {
    this.tally.failed++;
    this.#metrics.failures.inc();
    this.log.error("record.refused", "Kafka refuses this record, so it is counted as failed", {
      key: key.toString(),
      bytes: value?.length ?? 0,
      reason: error.message,
    });
  }

  gaveUp(records: number): void {
    this.log.error("publish.gave_up", "stopped before Kafka acknowledged these records", { records });
  }

  /** @param lateMs delay of the next record */
  backlogChanged(records: number, lateMs: number): void {
    this.#backlogRecords = records;
    this.#metrics.backlog.set(records);
    this.#interval.lateMs = Math.max(this.#interval.lateMs, lateMs);
    if (lateMs > LATE_MS && !this.#late) {
      this.#late = true;
      this.log.warning(
        "publish.late",
        "records are late; none is dropped, they keep their timestamps and are sent as fast as Kafka takes them",
        { backlog_records: records, late_ms: Math.round(lateMs) },
      );
    } else if (lateMs < ON_TIME_MS && this.#late) {
      this.#late = false;
      this.log.info("publish.caught_up", "records are on time again", { backlog_records: records });
    }
  }

  finished(): void {
    this.#backlogRecords = 0;
    this.#metrics.backlog.set(0);
    this.expected = undefined;
    this.summarise();
  }

  /** Logs nothing if no request ended since the last call and no record waits. */
  summarise(): void {
    const { since, lateMs, offsets, ...counts } = this.#interval;
    this.#interval = emptyInterval();
    if (counts.requests === 0 && this.#backlogRecords === 0) return;
    const perSecond = Math.round((counts.records * 1000) / Math.max(1, performance.now() - since));
    const { expected, tally: { acknowledged } } = this;
    const left = Math.max(0, (expected ?? 0) - acknowledged);
    const time = perSecond === 0 ? "" : `, ${formatSeconds(left / perSecond)} left`;
    const progress = expected === undefined ? "" : `, ${acknowledged} of about ${expected} in all${time}`;
    this.log.info("publish.summary", `published ${counts.records} records${progress}`, {
      ...counts,
      records_per_second: perSecond,
      backlog_records: this.#backlogRecords,
      late_ms: Math.round(lateMs),
      newest_offsets: Object.fromEntries([...offsets].sort(([a], [b]) => a - b)),
    });
  }

  #recovered(partition?: number): void {
    if (this.#outage === undefined) return;
    const { since, warned, partitions } = this.#outage;
    if (partition !== undefined) partitions.delete(partition);
    if (partitions.size > 0) return;
    this.#outage = undefined;
    if (warned) {
      this.log.info("kafka.available", "Kafka takes records again", { outage_s: secondsSince(since) });
    }
  }
}

function beginOutage() {
  return { since: performance.now(), warned: false, partitions: new Set<number>() };
}

function emptyInterval() {
  const offsets = new Map<number, bigint>();
  return { records: 0, requests: 0, bytes: 0, offsets, lateMs: 0, since: performance.now() };
}

function secondsSince(ms: number): number {
  return Math.round((performance.now() - ms) / 100) / 10;
}
