/** A fetch loop whose broker is a function; everything behind it is real. */
import { Buffer } from "node:buffer";
import type {
  FetchAnswer,
  FetchedPartition,
  Fetcher,
  FetchLimits,
  FetchTarget,
} from "../../workers/_shared/kafka/fetcher.ts";
import { runFetchLoop } from "../../workers/consumer/fetch/fetch_loop.ts";
import { Notifier } from "../../workers/consumer/kafka_partition/notifier.ts";
import { Partition } from "../../workers/consumer/kafka_partition/partition.ts";
import { Room } from "../../workers/consumer/kafka_partition/room.ts";
import { SilentLogs } from "../../workers/consumer/fetch/silent_logs.ts";
import type { Gap, Slice } from "../../workers/consumer/kafka_partition/slice.ts";
import { eventually } from "./eventually.ts";
import { batch } from "./record_batch.ts";

const BROKER = 1;
/** Last stable offset in the answers that do not give another one. */
export const END = 100;

type Answer = Partial<FetchedPartition>;
/** Says what a partition is answered; thrown, the request fails. */
type Broker = (
  target: FetchTarget,
  request: { readonly targets: readonly FetchTarget[]; readonly limits: FetchLimits },
) => Answer & { readonly throttled?: boolean };

/** Runs the loop of a broker that leads so many partitions, each of which stands at 0, until `enough`. */
export async function fetched(
  partitions: number,
  broker: Broker,
  enough: (all: readonly Partition[], failures: readonly string[]) => boolean,
  { roomBytes = 1_000_000_000, write, whyNotCompaction = () => "not compacted" }: {
    readonly roomBytes?: number;
    readonly write?: (slice: Slice) => Promise<{ next: number }>;
    /** What the topic's settings say against a gap; undefined when nothing does. */
    readonly whyNotCompaction?: () => string | undefined;
  } = {},
) {
  // Pauses are over at once: the clock goes on while the loop has nothing to ask for.
  let now = 0;
  const clock = () => now;
  const stop = new AbortController();
  const written: string[] = [];
  const gaps: Gap[] = [];
  const failures: string[] = [];
  const room = new Room(roomBytes);
  const all = Array.from({ length: partitions }, (_, partition) => {
    const log = { topic: "t", topicId: "i", partition };
    const ledger = { ...log, id: 1, generation: 0, firstOffset: 0, nextOffset: 0, leaderEpoch: -1 };
    return new Partition(
      log,
      {
        open: () => Promise.resolve(ledger),
        write: (_ledger, batch) => {
          const slice = batch.close();
          if (write !== undefined) return write(slice);
          written.push(`${partition}: ${slice.records.length} records to ${slice.next}`);
          return Promise.resolve({ next: slice.next });
        },
        onChange: () => changed.notify(),
        onClosed: () => {},
      },
      { bufferBytes: 1_000_000, batchRecords: 1_000, batchBytes: 1_000_000, room },
      clock,
    );
  });
  const reasons = new Map<string, string>();
  const silent: string[] = [];
  const logs = new SilentLogs({
    partitions: () => all,
    whyNotCompaction: () => Promise.resolve(whyNotCompaction()),
    progress: {
      notReady: (subject, reason) => void reasons.set(subject, reason),
      ready: (subject) => void reasons.delete(subject),
    },
    telemetry: {
      partitionSilent: (partition) => void silent.push(`${partition} silent`),
      partitionHeard: (partition) => void silent.push(`${partition} heard`),
    },
  }, clock);
  const changed = new Notifier();
  for (const partition of all) partition.start((error) => failures.push(String(error)));
  const fetcher: Pick<Fetcher, "fetch"> = {
    fetch: async (_broker, _topic, targets, limits): Promise<FetchAnswer> => {
      // A turn for the partitions' own loops, as the network gives them.
      await new Promise((resolve) => setTimeout(resolve));
      now += 1_000;
      await logs.look();
      const answers = targets.map((target) => ({
        partition: target.partition,
        errorCode: 0,
        lastStableOffset: END,
        abortedTransactions: [],
        divergence: undefined,
        records: Buffer.alloc(0),
        ...broker(target, { targets, limits }),
      }));
      return {
        throttled: answers.some(({ throttled }) => throttled === true),
        errorCode: 0,
        partitions: answers,
      };
    },
  };
  const topic = {
    id: "i",
    leaders: all.map(() => BROKER),
    leaderEpochs: all.map(() => 0),
    brokers: new Map([[BROKER, { host: "h", port: 1 }]]),
  };
  const running = runFetchLoop(
    BROKER,
    {
      fetcher: fetcher as Fetcher,
      topic: () => topic as never,
      partitions: () => all,
      onAttempt: () => {},
      onIdle: () => void (now += 5_000),
      onAnswer: () => {},
      onUnreadable: ({ number }, error) => failures.push(`${number}: ${error}`),
      onReadable: ({ number }) => failures.push(`${number}: readable`),
      onFailure: (error) => failures.push(String(error)),
      onStaleTopic: (answer) => failures.push(answer),
      onSilentGap: (_partition, gap) => gaps.push(gap),
      onLostPlace: () => {},
    },
    changed,
    { signal: stop.signal },
  );
  try {
    await eventually("the loop to have asked enough", () => enough(all, failures), {
      seen: () => ({ written, failures }),
    });
  } finally {
    stop.abort();
    await running;
    for (const partition of all) await partition[Symbol.asyncDispose]();
  }
  await logs.look();
  return { written, gaps, failures, all, reasons, silent };
}

/** A batch of these offsets. */
export const records = (from: number, to: number) =>
  batch(from, Array.from({ length: to - from }, (_, index) => from + index));
/** Whether everything before this offset is stored. */
export const stored = (offset: number) => (all: readonly Partition[]) =>
  all.every(({ nextOffset }) => nextOffset === offset);
