/**
 * The load is open loop: a record is queued at its instant even if earlier ones are not acknowledged yet. So a slow broker causes a
 * backlog, not a lower rate. Beyond `MAX_QUEUED`, records wait in their source and keep their timestamps.
 */
import type { Base } from "@platformatic/kafka";
import { backoffMs, sleep } from "../../_shared/backoff.ts";
import { kafkaFailure } from "../../_shared/kafka/client.ts";
import { createTopic, describeTopic } from "../../_shared/kafka/topic.ts";
import { PartitionQueues, type Target, unlessAborted } from "./partition_queues.ts";
import type { OutgoingRecord, RecordSource, Tally } from "./records.ts";

/** A few megabytes, and more records than Kafka takes in several ticks, so that one check per tick is enough. */
const MAX_QUEUED = 20_000;
/** Minimum time between two checks of the schedule, so that records that are due in that time share a request. */
const TICK_MS = 10;
/** Keeps the backlog metric and the progress bar up to date while no record is due. */
const MAX_PAUSE_MS = 1_000;
/** About 10 ms of work. Then the event loop must handle sockets and signals. */
const MAX_TAKEN_AT_ONCE = 8_000;
/** Time to flush after SIGTERM. It is less than the 10 s after which the process is ended. */
const FLUSH_MS = 7_000;

export const systemClock = {
  /** Microseconds since the Unix epoch. Monotonic, so that a corrected system clock neither stops nor floods the schedule. */
  nowMicros: () => Math.floor((performance.timeOrigin + performance.now()) * 1000),
  sleep,
};

export interface PublishOptions {
  /** Tests replace it. */
  readonly clock?: typeof systemClock;
  /** When it aborts, no more records are taken from the source. Records that were already taken are still flushed. */
  readonly signal: AbortSignal;
  readonly onProgress?: (tally: Tally) => void;
}

/**
 * Waits for Kafka without a limit, and creates the topic with `partitions` partitions if it is missing.
 *
 * @returns the number of partitions, or undefined if the signal aborted first
 * @throws PipelineError when Kafka refuses access
 */
export async function ensureTopic(
  client: Base,
  { connection, connection: { topic }, partitions, telemetry }: Target,
  signal: AbortSignal,
): Promise<number | undefined> {
  for (let attempt = 1; !signal.aborted; attempt++) {
    try {
      const found = await describeTopic(client, topic);
      if (found !== undefined) {
        telemetry.topicFound(topic, found.leaders.length);
        return found.leaders.length;
      }
      if (await createTopic(connection, partitions)) telemetry.topicCreated(topic, partitions);
    } catch (error) {
      const failure = kafkaFailure(`reach topic ${topic}`, connection, error);
      if (failure.code === "kafka_refused") throw failure;
      const retryInMs = backoffMs(attempt);
      telemetry.publishFailed(failure, attempt, retryInMs);
      await sleep(retryInMs, { signal });
    }
  }
  return undefined;
}

/**
 * Resolves when each record taken from the source is acknowledged, refused or given up.
 *
 * @throws the error of the source, after the records before it are delivered
 */
export async function publish(source: RecordSource, target: Target, options: PublishOptions): Promise<void> {
  const { telemetry, telemetry: { tally } } = target;
  const { signal } = options;
  const gaveUp = new AbortController();
  const queues = new PartitionQueues(target, gaveUp.signal);
  const onStop = () => Deno.unrefTimer(setTimeout(() => gaveUp.abort(), FLUSH_MS));
  signal.addEventListener("abort", onStop, { once: true });
  tally.start();
  try {
    await offer(source, queues, target, options);
  } finally {
    queues.start();
    await queues.idle();
    signal.removeEventListener("abort", onStop);
    if (tally.failed > 0 && gaveUp.signal.aborted) telemetry.gaveUp(tally.failed);
    telemetry.finished();
    options.onProgress?.(tally);
  }
}

async function offer(
  source: RecordSource,
  queues: PartitionQueues,
  { telemetry, telemetry: { tally } }: Target,
  { clock = systemClock, signal, onProgress }: PublishOptions,
): Promise<void> {
  const lateMs = ({ dueMicros }: OutgoingRecord) =>
    dueMicros === undefined ? 0 : (clock.nowMicros() - dueMicros) / 1000;
  const chunks = source.start(clock.nowMicros());
  let taken = 0;
  for (;;) {
    // A pipe can be silent for hours. Meanwhile the queued records must be sent.
    const idleFlush = setTimeout(() => queues.start(), TICK_MS);
    const chunk = await unlessAborted(chunks.next(), signal).finally(() => clearTimeout(idleFlush));
    if (chunk === undefined || chunk.done === true) return;
    for (const record of chunk.value) {
      let late = lateMs(record);
      while (late < 0 || queues.queued >= MAX_QUEUED || taken >= MAX_TAKEN_AT_ONCE) {
        queues.start();
        const overdue = Math.max(0, Math.floor((late / 1000) * (source.recordsPerSecond ?? 0)));
        telemetry.backlogChanged(queues.queued + overdue, Math.max(0, late));
        onProgress?.(tally);
        await clock.sleep(pauseMs(late, queues.queued), { signal });
        if (signal.aborted) return;
        taken = 0;
        late = lateMs(record);
      }
      tally.offered(record, late);
      queues.push(record);
      taken++;
    }
  }
}

/** @returns 0 when the producer is behind and has room; even then, the event loop gets one turn */
function pauseMs(lateMs: number, queued: number): number {
  if (lateMs < 0) return Math.min(MAX_PAUSE_MS, Math.max(TICK_MS, -lateMs));
  return queued >= MAX_QUEUED ? TICK_MS : 0;
}
