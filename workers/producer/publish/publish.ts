/**
 * Publishes records on time, and each until Kafka has acknowledged it.
 *
 * Open loop: a record is offered at its instant whether or not the ones before are acknowledged, so a slow broker shows
 * as a backlog and never as a lower rate. Memory is bounded: once `MAX_QUEUED` records wait, no more are taken from the
 * source. They are not dropped: the source is a schedule or a file, its records keep their instants and follow, late,
 * as fast as Kafka takes them; how late is logged, measured and in the summary.
 */
import type { Base } from "@platformatic/kafka";
import { backoffMs, sleep } from "../../_shared/backoff.ts";
import { kafkaFailure } from "../../_shared/kafka/client.ts";
import { createTopic, describeTopic } from "../../_shared/kafka/topic.ts";
import { PartitionQueues, type Target, unlessAborted } from "./partition_queues.ts";
import type { OutgoingRecord, RecordSource, Tally } from "./records.ts";

/** A few megabytes, and more than Kafka takes in several ticks, so that looking for room once a tick is often enough. */
const MAX_QUEUED = 20_000;
/** The schedule is looked at this often, so that what is due by then travels in one request. */
const TICK_MS = 10;
/** A backlog in Kafka's hands is told at least this often. */
const MAX_PAUSE_MS = 1_000;
/** In one go, some ten milliseconds, before the event loop with its sockets and signals has its turn. */
const MAX_TAKEN_AT_ONCE = 8_000;
/** After SIGTERM what is in hand has this long, less than the process itself has. */
const FLUSH_MS = 7_000;

/** The time, which tests replace. Monotonic: a corrected system clock neither stalls the schedule nor makes it burst. */
export const systemClock = {
  /** Microseconds since the Unix epoch, which a double holds exactly and a `Date` does not. */
  nowMicros: () => Math.floor((performance.timeOrigin + performance.now()) * 1000),
  sleep,
};

export interface PublishOptions {
  readonly clock?: typeof systemClock;
  /** Stops taking records; what was taken is still flushed. */
  readonly signal: AbortSignal;
  readonly onProgress?: (tally: Tally) => void;
}

/**
 * Waits for Kafka, however long, and creates the topic when it is missing, with the target's partitions.
 *
 * @returns the number of its partitions; undefined when the signal aborted before it was there
 * @throws PipelineError when Kafka answers that it does not let us: nothing is published yet, so the operator hears it
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
 * Resolves when every record of the source is acknowledged, refused or given up, or after a stop every one taken.
 *
 * @throws what the source threw, when those taken before are delivered
 */
export async function publish(source: RecordSource, target: Target, options: PublishOptions): Promise<void> {
  const { telemetry, telemetry: { tally } } = target;
  const { signal } = options;
  const gaveUp = new AbortController();
  const lanes = new PartitionQueues(target, gaveUp.signal);
  const onStop = () => Deno.unrefTimer(setTimeout(() => gaveUp.abort(), FLUSH_MS));
  signal.addEventListener("abort", onStop, { once: true });
  tally.start();
  try {
    await offer(source, lanes, target, options);
  } finally {
    lanes.start();
    await lanes.idle();
    signal.removeEventListener("abort", onStop);
    if (tally.failed > 0 && gaveUp.signal.aborted) telemetry.gaveUp(tally.failed);
    telemetry.finished();
    options.onProgress?.(tally);
  }
}

/** Takes records from the source, each when it is due and there is room. */
async function offer(
  source: RecordSource,
  lanes: PartitionQueues,
  { telemetry, telemetry: { tally } }: Target,
  { clock = systemClock, signal, onProgress }: PublishOptions,
): Promise<void> {
  const lateMs = ({ dueMicros }: OutgoingRecord) =>
    dueMicros === undefined ? 0 : (clock.nowMicros() - dueMicros) / 1000;
  const pieces = source.start(clock.nowMicros());
  let taken = 0;
  for (;;) {
    // A pipe may be silent for hours: what came before is sent meanwhile, and a stop ends the wait.
    const silent = setTimeout(() => lanes.start(), TICK_MS);
    const piece = await unlessAborted(pieces.next(), signal).finally(() => clearTimeout(silent));
    if (piece === undefined || piece.done === true) return;
    for (const record of piece.value) {
      let late = lateMs(record);
      while (late < 0 || lanes.queued >= MAX_QUEUED || taken >= MAX_TAKEN_AT_ONCE) {
        lanes.start();
        const overdue = Math.max(0, Math.floor((late / 1000) * (source.recordsPerSecond ?? 0)));
        telemetry.backlogChanged(lanes.queued + overdue, Math.max(0, late));
        onProgress?.(tally);
        await clock.sleep(pauseMs(late, lanes.queued), { signal });
        if (signal.aborted) return;
        taken = 0;
        late = lateMs(record);
      }
      tally.offered(record, late);
      lanes.push(record);
      taken++;
    }
  }
}

/** Until the next record is due, or there may be room; nothing but a turn for the event loop when we are behind. */
function pauseMs(lateMs: number, queued: number): number {
  if (lateMs < 0) return Math.min(MAX_PAUSE_MS, Math.max(TICK_MS, -lateMs));
  return queued >= MAX_QUEUED ? TICK_MS : 0;
}
