/**
 * Publishes records on time, and each until Kafka has acknowledged it.
 *
 * Open loop: a record is offered at its instant whether or not the ones before are acknowledged, so a slow broker shows
 * as a backlog and never as a lower rate. Memory is bounded: once `MAX_QUEUED` records wait, no more are taken from the
 * source. They are not dropped: the source is a schedule or a file, its records keep their instants and follow, late,
 * as fast as Kafka takes them; how late is logged, measured and in the summary.
 */
import type { Clock } from "../clock.ts";
import type { Target } from "./deliver.ts";
import type { OutgoingRecord } from "../generate.ts";
import { Lanes } from "./lanes.ts";
import { type Source, unlessAborted } from "../pieces.ts";
import { Tally } from "./tally.ts";
import type { ProducerTelemetry } from "./telemetry.ts";

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

export interface PublishOptions {
  readonly clock: Clock;
  /** Stops taking records; what was taken is still flushed. */
  readonly signal: AbortSignal;
  /** Of the schedule, to tell how many records are overdue; undefined when there is none. */
  readonly recordsPerSecond?: number;
  readonly onProgress?: (tally: Tally) => void;
}

/**
 * Resolves when every record of the source is acknowledged, refused or given up, or after a stop every one taken. When
 * the source fails, those taken before are still delivered, and the tally has the error.
 */
export async function publish(
  source: Source<OutgoingRecord>,
  target: Target,
  options: PublishOptions,
): Promise<Tally> {
  const { telemetry } = target;
  const tally = new Tally();
  const gaveUp = new AbortController();
  const lanes = new Lanes({ ...target, tally, gaveUp: gaveUp.signal });
  const { signal } = options;
  const onStop = () => {
    Deno.unrefTimer(setTimeout(() => gaveUp.abort(), FLUSH_MS));
  };
  signal.addEventListener("abort", onStop, { once: true });
  try {
    await offer(source, lanes, tally, telemetry, options).catch((error) => {
      tally.sourceError = error;
    });
    lanes.start();
    await lanes.idle();
  } finally {
    signal.removeEventListener("abort", onStop);
  }
  if (tally.failed > 0 && gaveUp.signal.aborted) telemetry.gaveUp(tally.failed);
  telemetry.finished();
  options.onProgress?.(tally);
  return tally;
}

/** Takes records from the source, each when it is due and there is room. */
async function offer(
  source: Source<OutgoingRecord>,
  lanes: Lanes,
  tally: Tally,
  telemetry: ProducerTelemetry,
  { clock, signal, recordsPerSecond = 0, onProgress }: PublishOptions,
): Promise<void> {
  let record = await take(source);
  for (let taken = 0; record !== undefined && !signal.aborted;) {
    const lateMs = record.dueMicros === undefined ? 0 : (clock.nowMicros() - record.dueMicros) / 1000;
    if (lateMs >= 0 && lanes.queued < MAX_QUEUED && taken < MAX_TAKEN_AT_ONCE) {
      tally.maxLateMs = Math.max(tally.maxLateMs, lateMs);
      tally.offered(record);
      lanes.push(record);
      taken++;
      const next = take(source);
      record = next instanceof Promise ? await patiently(next, lanes, signal) : next;
      continue;
    }
    lanes.start();
    const overdue = Math.max(0, Math.floor((lateMs / 1000) * recordsPerSecond));
    telemetry.backlogChanged({ records: lanes.queued + overdue, lateMs: Math.max(0, lateMs) });
    onProgress?.(tally);
    await clock.sleep(pauseMs(lateMs, lanes.queued), { signal });
    taken = 0;
  }
}

/** A pipe may be silent for hours: what came before is sent meanwhile, and a stop ends the wait. */
async function patiently<T>(next: Promise<T>, lanes: Lanes, signal: AbortSignal): Promise<T | undefined> {
  const silent = setTimeout(() => lanes.start(), TICK_MS);
  try {
    return await unlessAborted(next, signal);
  } finally {
    clearTimeout(silent);
  }
}

/** Until the next record is due, or there may be room; nothing but a turn for the event loop when we are behind. */
function pauseMs(lateMs: number, queued: number): number {
  if (lateMs < 0) return Math.min(MAX_PAUSE_MS, Math.max(TICK_MS, -lateMs));
  return queued >= MAX_QUEUED ? TICK_MS : 0;
}

/** Of a record that is there without the detour over a promise: that alone would halve the rate. */
function take(
  source: Source<OutgoingRecord>,
): OutgoingRecord | undefined | Promise<OutgoingRecord | undefined> {
  const step = source.next();
  if (step instanceof Promise) return step.then((one) => one.done === true ? undefined : one.value);
  return step.done === true ? undefined : step.value;
}
