import { Buffer } from "node:buffer";
import { Registry } from "prom-client";
import type { Fetcher, FetchLimits, FetchTarget } from "../../workers/_shared/kafka/fetcher.ts";
import type { FetchedPartition } from "../../workers/_shared/kafka/fetcher.ts";
import { FetchLoop } from "../../workers/consumer/fetch/fetch_loop.ts";
import { Partition, type PartitionPorts } from "../../workers/consumer/kafka_partition/partition.ts";
import { SilentLogs } from "../../workers/consumer/fetch/silent_logs.ts";
import type { Slice } from "../../workers/consumer/kafka_partition/slice.ts";
import { HealthState, type WatchedLoop } from "../../workers/consumer/health/health_state.ts";
import { consumerTelemetry } from "../../workers/consumer/telemetry/telemetry.ts";
import { eventually } from "../../lab/eventually.ts";
import { batch } from "./record_batch.ts";

const LOG = { topic: "t", topicId: "i" };
const BROKER = 1;
const connection = {
  topic: "t",
  servers: "h:1",
  options: { clientId: "c", bootstrapBrokers: [] },
  secrets: [],
};
/** The last stable offset of the responses, unless the broker function gives another one. */
export const END = 100;

/** Returns what a partition answers to a fetch. If it throws, the request fails. */
type Broker = (
  target: FetchTarget,
  request: { readonly targets: readonly FetchTarget[]; readonly limits: FetchLimits },
) => Partial<FetchedPartition> & { readonly throttled?: boolean };

/** A clock that advances while the loop is idle, so that pauses end at once. */
class SteppedClock extends HealthState {
  now = 0;

  override idle(loop: WatchedLoop): void {
    super.idle(loop);
    this.now += 5_000;
  }
}

// Collects each log event with its partition, and each gap.
function recordTelemetry(progress: HealthState) {
  const events: string[] = [];
  const gaps: unknown[] = [];
  const say = (event: string, _message: string, fields: Readonly<Record<string, unknown>> = {}) => {
    const { partition, from, to, cause } = fields;
    events.push(partition === undefined ? event : `${event} ${partition}`);
    if (event === "partition.gap") gaps.push({ from, to, cause });
  };
  const log = { debug: say, info: say, warning: say, error: say };
  const shared = { log, metrics: new Registry() };
  return { events, gaps, telemetry: consumerTelemetry(shared, progress, { debug: false }) };
}

function fetcherOf(broker: Broker, onFetch: () => Promise<void>): Pick<Fetcher, "fetch"> {
  return {
    fetch: async (_broker, _topic, targets, limits) => {
      // A real network lets the loops of the partitions run meanwhile.
      await new Promise((resolve) => setTimeout(resolve));
      await onFetch();
      const partitions = targets.map((target) => ({
        partition: target.partition,
        errorCode: 0,
        lastStableOffset: END,
        abortedTransactions: [],
        divergence: undefined,
        records: Buffer.alloc(0),
        ...broker(target, { targets, limits }),
      }));
      return { throttled: partitions.some(({ throttled }) => throttled === true), errorCode: 0, partitions };
    },
  };
}

function portsOf(
  partition: number,
  write: (slice: Slice) => Promise<number>,
  onChange: () => void,
): PartitionPorts {
  const ledger = { ...LOG, partition, id: 1, generation: 0, firstOffset: 0, nextOffset: 0, leaderEpoch: -1 };
  return {
    open: () => Promise.resolve(ledger),
    write: (_ledger, open) => write(open.close()),
    resolveOffsetReset: () => Promise.reject(new TypeError("no offset is out of range")),
    onChange,
  };
}

/**
 * Runs the fetch loop of a broker that leads all partitions, each starting at offset 0, until `enough` returns true. Only
 * the broker is simulated.
 */
export async function runFetchLoop(
  partitions: number,
  broker: Broker,
  enough: (all: readonly Partition[], events: readonly string[]) => boolean,
  { epoch = 3, memoryBudgetBytes = 1_000_000_000, write, whyNotCompaction = () => "not compacted" }: {
    /** The leader epoch in the topic's metadata. */
    readonly epoch?: number;
    readonly memoryBudgetBytes?: number;
    readonly write?: (slice: Slice) => Promise<number>;
    /** Returns the reason why the topic's settings exclude compaction, or undefined if they allow it. */
    readonly whyNotCompaction?: () => string | undefined;
  } = {},
) {
  const progress = new SteppedClock();
  for (const subject of ["database", "kafka", "group"]) progress.ready(subject);
  const { events, gaps, telemetry } = recordTelemetry(progress);
  const written: string[] = [];
  const memoryBudget = { maxBytes: memoryBudgetBytes, usedBytes: 0 };
  const limits = { bufferBytes: 1e6, batchRecords: 1_000, batchBytes: 1e6, memoryBudget };
  const all = Array.from({ length: partitions }, (_, number) => {
    const ports = portsOf(number, (slice) => {
      if (write !== undefined) return write(slice);
      written.push(`${number}: ${slice.records.length} records to ${slice.next}`);
      return Promise.resolve(slice.next);
    }, () => loop.changed.notify());
    return new Partition({ ...LOG, partition: number }, ports, limits, () => progress.now);
  });
  const shared = { partitions: () => all, telemetry, connection };
  const whyNot = () => Promise.resolve(whyNotCompaction());
  const logs = new SilentLogs({ ...shared, whyNotCompaction: whyNot }, () => progress.now);
  const onAsked = () => {
    progress.now += 1_000;
    return logs.check();
  };
  const topic = {
    id: "i",
    leaders: all.map(() => BROKER),
    leaderEpochs: all.map(() => epoch),
    brokers: new Map([[BROKER, { host: "h", port: 1, rack: null }]]),
  };
  const fetcher = fetcherOf(broker, onAsked);
  const ports = { ...shared, fetcher, topic: () => topic, onStaleTopic: () => {} };
  const stop = new AbortController();
  const loop = new FetchLoop(BROKER, ports, stop.signal);
  for (const partition of all) partition.start((error) => events.push(String(error)));
  try {
    await eventually("the fetch loop to do enough", () => enough(all, events), {
      seen: () => ({ written, events }),
    });
  } finally {
    stop.abort();
    await loop.ended;
    for (const partition of all) await partition[Symbol.asyncDispose]();
  }
  await logs.check();
  return { written, gaps, events, all, reasons: progress.readyReasons() };
}

export const records = (from: number, to: number) =>
  batch(from, Array.from({ length: to - from }, (_, index) => from + index));
/** Returns true if everything before this offset is stored. */
export const stored = (offset: number) => (all: readonly Partition[]) =>
  all.every(({ nextOffset }) => nextOffset === offset);
