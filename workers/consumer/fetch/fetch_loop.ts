/** Keeps one broker asked for records of the partitions it leads, as long as they have room for them. */
import type {
  Divergence,
  FetchedPartition,
  Fetcher,
  FetchLimits,
  FetchTarget,
} from "../../_shared/kafka/fetcher.ts";
import { backoffMs, sleep } from "../../_shared/backoff.ts";
import type { TopicDescription } from "../../_shared/kafka/topic.ts";
import { requiredEpoch } from "../kafka_partition/leader_epoch.ts";
import type { Notifier } from "../kafka_partition/notifier.ts";
import type { Partition } from "../kafka_partition/partition.ts";
import { type Gap, gapSlice, sliceOf } from "../kafka_partition/slice.ts";

/** Long polls are short enough that a stop, or a partition that has room again, does not wait long. */
const IDLE_WAIT_MS = 500;
const BUSY_WAIT_MS = 20;
/** What an answer may take in memory, of one partition and of all: wire bytes times their expansion. */
const PARTITION_MEMORY_BYTES = 4 * 1024 * 1024;
const ANSWER_MEMORY_BYTES = 16 * 1024 * 1024;
/** Until a fetch has shown better: well-compressed JSON. */
const ASSUMED_EXPANSION = 100;
/** Questions for a silent partition alone may take one part of a broker's time in this many, if others wait for it. */
const QUESTIONS_SHARE = 5;
/** A broker sends at least one batch however little is asked for; these bound what is asked for. */
const MIN_FETCH_BYTES = 16 * 1024;
const MAX_PARTITION_FETCH_BYTES = 512 * 1024;
const MAX_FETCH_BYTES = 2 * 1024 * 1024;

/** Codes of https://kafka.apache.org/protocol#protocol_error_codes */
const NONE = 0;
const OFFSET_OUT_OF_RANGE = 1;
/** Answers of a broker that does not serve a partition now: leadership moved, or the topic was deleted. */
const NOT_SERVED: Readonly<Record<number, string>> = {
  3: "UNKNOWN_TOPIC_OR_PARTITION",
  5: "LEADER_NOT_AVAILABLE",
  6: "NOT_LEADER_OR_FOLLOWER",
  9: "REPLICA_NOT_AVAILABLE",
  74: "FENCED_LEADER_EPOCH",
  75: "UNKNOWN_LEADER_EPOCH",
  78: "OFFSET_NOT_AVAILABLE",
  100: "UNKNOWN_TOPIC_ID",
  103: "INCONSISTENT_TOPIC_ID",
};

export interface FetchLoopPorts {
  readonly fetcher: Fetcher;
  /** The topic as it is known now; undefined while it does not exist. */
  readonly topic: () => TopicDescription | undefined;
  /** The assigned partitions of that topic. */
  readonly partitions: () => Iterable<Partition>;
  readonly onAttempt: (loop: string) => void;
  readonly onIdle: (loop: string) => void;
  readonly onAnswer: () => void;
  /** The records at the place where a partition goes on cannot be read; `onReadable` once they can. */
  readonly onUnreadable: (partition: Partition, error: unknown, fields: { broker: number }) => void;
  readonly onReadable: (partition: Partition) => void;
  readonly onFailure: (error: unknown, fields: { broker: number; partitions?: readonly number[] }) => void;
  /** Leaders moved, or the topic is another one now: look again. `answer` is what the broker said. */
  readonly onStaleTopic: (answer: string, fields: { broker: number }) => void;
  /** Kafka sends nothing of this stretch, however it is asked, and it is counted as gone. */
  readonly onSilentGap: (partition: Partition, gap: Gap) => void;
  /** The log does not hold the offset that was asked for, or holds other records before it than we read. */
  readonly onLostPlace: (partition: Partition, divergence?: Divergence) => void;
}

/** Runs until `signal` aborts. @param changed wakes the loop when there may be something to fetch */
export async function runFetchLoop(
  node: number,
  ports: FetchLoopPorts,
  changed: Notifier,
  { signal }: { signal: AbortSignal },
): Promise<void> {
  const name = `fetch from broker ${node}`;
  let failures = 0;
  let first = -1;
  let nextQuestionAt = 0;
  while (!signal.aborted) {
    const [led, left] = askableOf(partitionsLedBy(node, ports));
    const wanted = led.filter(({ wantsRecords }) => wantsRecords).sort((a, b) => a.number - b.number);
    if (wanted.length === 0) {
      ports.onIdle(name);
      const pauses = left.map(({ pauseMs }) => pauseMs);
      await changed.wait({ signal, ...(pauses.length === 0 ? {} : { atMostMs: Math.min(...pauses) }) });
      continue;
    }
    ports.onAttempt(name);
    // A broker fills its answer in the order of the request: each partition is its first in turn.
    const at = Math.max(0, wanted.findIndex(({ number }) => number > first));
    const rotated = [...wanted.slice(at), ...wanted.slice(0, at)];
    first = rotated[0]?.number ?? -1;
    const usual = rotated.filter(({ emptyAnswers }) => !emptyAnswers.areSuspicious);
    const began = performance.now();
    const suspicious = usual.length === 0 || began >= nextQuestionAt
      ? rotated.find(({ emptyAnswers }) => emptyAnswers.areSuspicious)
      : undefined;
    const alone = suspicious !== undefined;
    const maxWaitMs = !alone && wanted.length < led.length ? BUSY_WAIT_MS : IDLE_WAIT_MS;
    try {
      await fetchOnce(node, alone ? [suspicious] : usual, { alone, maxWaitMs }, ports);
      if (alone) {
        nextQuestionAt = performance.now() + (performance.now() - began) * (QUESTIONS_SHARE - 1);
      }
      failures = 0;
    } catch (error) {
      if (signal.aborted) break;
      if (error instanceof NotServed) {
        ports.onStaleTopic(error.message, { broker: node });
      } else {
        ports.onFailure(error, { broker: node, partitions: wanted.map(({ number }) => number) });
      }
      await sleep(backoffMs(++failures), { signal });
    }
    ports.onAttempt(name);
  }
  ports.onIdle(name);
}

function partitionsLedBy(node: number, ports: FetchLoopPorts): Partition[] {
  const leaders = ports.topic()?.leaders ?? [];
  return [...ports.partitions()].filter(({ number }) => leaders[number] === node);
}

/** Those that may be asked for, and those that are left alone for a while. */
function askableOf(partitions: readonly Partition[]): [askable: Partition[], left: Partition[]] {
  const askable: Partition[] = [];
  const left: Partition[] = [];
  for (const partition of partitions) (partition.pauseMs === 0 ? askable : left).push(partition);
  return [askable, left];
}

async function fetchOnce(
  node: number,
  asked: readonly Partition[],
  { alone, maxWaitMs }: { readonly alone: boolean; readonly maxWaitMs: number },
  ports: FetchLoopPorts,
): Promise<void> {
  const topic = ports.topic();
  const broker = topic?.brokers.get(node);
  const unanswered = (error: unknown): never => {
    for (const partition of partitionsLedBy(node, ports)) partition.outOfReach = true;
    throw error;
  };
  if (topic === undefined || broker === undefined) {
    return unanswered(new NotServed("the broker left the cluster"));
  }
  const targets = asked.map((partition): FetchTarget => ({
    partition: partition.number,
    offset: partition.fetchOffset,
    lastEpoch: partition.lastEpoch,
    requiredEpoch: requiredEpoch(topic, partition.number, partition.lastEpoch),
    maxBytes: within(PARTITION_MEMORY_BYTES, MAX_PARTITION_FETCH_BYTES, partition.expansion),
  }));
  // Those of which nothing is known to come do not count: they may have nothing for ever, and each has its own limit.
  const known = asked.filter(({ isAtEnd }) => !isAtEnd).flatMap(({ expansion }) => expansion ?? []);
  const densest = known.length === 0 ? ASSUMED_EXPANSION : Math.max(...known);
  const limits: FetchLimits = {
    maxWaitMs,
    maxBytes: within(ANSWER_MEMORY_BYTES, MAX_FETCH_BYTES, densest),
  };
  const answer = await ports.fetcher.fetch(broker, topic.id, targets, limits).catch(unanswered);
  ports.onAnswer();
  const crowded = crowdedOut(targets, answer.partitions, limits);
  let failed: number | undefined;
  let taken = 0;
  for (const response of answer.partitions) {
    const index = asked.findIndex(({ number }) => number === response.partition);
    const partition = asked[index];
    const target = targets[index];
    if (partition === undefined || target === undefined) continue;
    partition.outOfReach = false;
    const divergence = response.divergence;
    if (divergence !== undefined) {
      if (partition.fetchOffset === target.offset) ports.onLostPlace(partition, divergence);
    } else if (response.errorCode === NONE) {
      // Far denser than was foreseen: the rest is asked for again when there is room for it.
      if (taken >= ANSWER_MEMORY_BYTES && response.records.length > 0) continue;
      try {
        const { bytes, gap } = take(partition, target, response, {
          alone,
          throttled: answer.throttled,
          crowded: crowded.has(partition.number),
        });
        taken += bytes;
        if (gap !== undefined) ports.onSilentGap(partition, gap);
        if (partition.unreadable.isKnown) {
          partition.unreadable.forget();
          ports.onReadable(partition);
        }
      } catch (error) {
        // What the answer holds for the others is taken all the same.
        partition.outOfReach = true;
        ports.onUnreadable(partition, error, { broker: node });
        partition.unreadable.add();
      }
    } else if (response.errorCode === OFFSET_OUT_OF_RANGE) {
      if (partition.fetchOffset === target.offset) ports.onLostPlace(partition);
    } else {
      partition.outOfReach = true;
      failed = response.errorCode;
    }
  }
  const name = failed === undefined ? undefined : NOT_SERVED[failed];
  if (name !== undefined) throw new NotServed(name);
  if (failed !== undefined) throw new Error(`a fetch was answered with Kafka's error code ${failed}`);
}

/** Expected while leaders move or a topic is deleted: the topic is looked at again, and the fetch repeated. */
class NotServed extends Error {
  override readonly name = "NotServed";
}

/** Compressed records may take a hundred times their bytes: the fetch is made as small as the last ones were dense. */
function within(memory: number, most: number, expansion = ASSUMED_EXPANSION): number {
  return Math.max(MIN_FETCH_BYTES, Math.min(most, Math.floor(memory / expansion)));
}

/**
 * Partitions that the answer had less room for than they may have, since those asked for before them filled it. To get
 * nothing then says nothing; each is the first in turn, which has all the room.
 */
function crowdedOut(
  targets: readonly FetchTarget[],
  answered: readonly FetchedPartition[],
  { maxBytes }: FetchLimits,
): ReadonlySet<number> {
  const bytes = new Map(answered.map(({ partition, records }) => [partition, records.length]));
  const crowded = new Set<number>();
  let before = 0;
  for (const target of targets) {
    if (before + Math.min(target.maxBytes, maxBytes) > maxBytes) crowded.add(target.partition);
    before += bytes.get(target.partition) ?? 0;
  }
  return crowded;
}

/** What was made of a partition's part of an answer: so many bytes of memory, and the rest of the log when that is empty. */
interface Taken {
  readonly bytes: number;
  readonly gap?: Gap;
}

function take(
  partition: Partition,
  target: FetchTarget,
  response: FetchedPartition,
  { crowded, ...question }: {
    readonly alone: boolean;
    readonly throttled: boolean;
    readonly crowded: boolean;
  },
): Taken {
  // Whether we moved elsewhere while the broker was being asked.
  if (partition.fetchOffset !== target.offset) return { bytes: 0 };
  const end = response.lastStableOffset;
  partition.endOffset = end;
  const slice = sliceOf(response, target.offset);
  if (slice.next > target.offset) {
    // Up at once, down slowly: a dense stretch after sparse ones must not come as a surprise twice.
    const expansion = slice.bytes / response.records.length;
    partition.expansion = Math.max(expansion, (partition.expansion ?? 0) * 0.8, 1);
    partition.accept(slice);
    return { bytes: slice.bytes };
  }
  if (end <= target.offset) {
    partition.emptyAnswers.forget();
  } else if (!crowded && partition.emptyAnswers.add({ ...question, end })) {
    const rest = gapSlice(target.offset, end, "compacted");
    partition.accept(rest);
    const [gap] = rest.gaps;
    if (gap !== undefined) return { bytes: rest.bytes, gap };
  }
  return { bytes: 0 };
}
