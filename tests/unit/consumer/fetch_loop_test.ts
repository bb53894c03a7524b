/** What the fetch loop makes of a broker's answers. The broker is a function here; everything behind it is real. */
import { Buffer } from "node:buffer";
import { deepStrictEqual, match, ok, strictEqual } from "node:assert";
import type { Fetcher, FetchLimits, FetchTarget } from "../../../workers/consumer/fetcher.ts";
import type { FetchAnswer, FetchedPartition } from "../../../workers/consumer/fetch_response.ts";
import { runFetchLoop } from "../../../workers/consumer/fetch_loop.ts";
import { Notifier } from "../../../workers/consumer/notifier.ts";
import { Partition } from "../../../workers/consumer/partition.ts";
import { Room } from "../../../workers/consumer/room.ts";
import { SilentLogs } from "../../../workers/consumer/silent_logs.ts";
import type { Gap, Slice } from "../../../workers/consumer/slice.ts";
import { eventually } from "../../support/eventually.ts";
import { batch } from "../../support/record_batch.ts";

const BROKER = 1;
const MEGABYTE = 1024 * 1024;
const END = 100;

type Answer = Partial<FetchedPartition>;
/** Says what a partition is answered; thrown, the request fails. */
type Broker = (
  target: FetchTarget,
  request: { readonly targets: readonly FetchTarget[]; readonly limits: FetchLimits },
) => Answer & { readonly throttled?: boolean };

/** Runs the loop of a broker that leads so many partitions, each of which stands at 0, until `enough`. */
async function fetched(
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

const records = (from: number, to: number) =>
  batch(from, Array.from({ length: to - from }, (_, index) => from + index));
const stored = (offset: number) => (all: readonly Partition[]) =>
  all.every(({ nextOffset }) => nextOffset === offset);

Deno.test("records that come after many answers that a quota held back are stored, not written off", async () => {
  let asked = 0;
  const { written, gaps } = await fetched(1, ({ offset }) => {
    asked++;
    // Two that are late, then the question alone, which a quota holds back; and so on.
    if (asked <= 60) return { throttled: asked % 3 === 0 };
    return offset === END ? {} : { records: records(0, END) };
  }, stored(END));
  deepStrictEqual([written, gaps], [["0: 100 records to 100"], []]);
});

/** Each is minutes of silence, since the pauses grow to seconds. */
const MANY_ANSWERS = 200;

Deno.test("records that come after minutes without one are stored, not written off, and the others are read meanwhile", async () => {
  let late = 0;
  let others = 0;
  const { written, gaps, silent, reasons, failures } = await fetched(
    2,
    ({ partition, offset }, { targets }) => {
      if (partition === 0 && offset === 0) {
        strictEqual(targets.length > 1 && late > 2, false, "asked for with the other one");
        return late++ < MANY_ANSWERS ? {} : { records: records(0, END) };
      }
      if (partition === 1 && offset === 0 && late > 2) others++;
      return offset === END ? {} : { records: records(0, END) };
    },
    stored(END),
  );
  deepStrictEqual([written.sort(), gaps], [["0: 100 records to 100", "1: 100 records to 100"], []]);
  deepStrictEqual([silent, [...reasons], failures], [["0 silent", "0 heard"], [], []]);
  strictEqual(others, 0, "the other one waited");
});

Deno.test("a partition whose records are not sent is not ready with offset and end, is not due, and is no gap for minutes", async () => {
  let asked = 0;
  const { gaps, reasons, all } = await fetched(1, ({ offset }) => {
    asked++;
    return offset < 50 ? { records: records(0, 50) } : {};
  }, () => asked > MANY_ANSWERS);
  deepStrictEqual(gaps, []);
  match(
    reasons.get("log of partition 0") ?? "",
    /^Kafka sends no record from offset 50 on, although the log ends at 100; not compacted/,
  );
  deepStrictEqual(all.map(({ due, endOffset }) => [due, endOffset]), [[0, END]]);
});

Deno.test("a compacted log that never gives another record is read to its end, and the gap is told", async () => {
  let questions = 0;
  const { gaps, written, reasons } = await fetched(
    1,
    ({ offset }) => offset < 50 ? { records: records(0, 50) } : {},
    stored(END),
    { whyNotCompaction: () => void questions++ },
  );
  deepStrictEqual(gaps, [{ from: 50, to: END, cause: "compacted" }]);
  deepStrictEqual(written, ["0: 50 records to 50", "0: 0 records to 100"]);
  deepStrictEqual([...reasons], []);
  ok(
    questions >= 2,
    `the settings were read ${questions} times, expected when it fell silent and at the end`,
  );
});

Deno.test("settings that forbid a gap at the end of a silence count, whatever they were when it began", async () => {
  let asked = 0;
  let questions = 0;
  const { gaps } = await fetched(
    1,
    () => {
      asked++;
      return {};
    },
    () => asked > MANY_ANSWERS,
    { whyNotCompaction: () => questions++ === 0 ? undefined : "not compacted" },
  );
  deepStrictEqual(gaps, []);
  ok(questions >= 2);
});

Deno.test("a compacted log that grows has records at its end: its silence is no gap however long it lasts", async () => {
  let end = END;
  const { gaps } = await fetched(
    1,
    () => ({ lastStableOffset: ++end }),
    () => end > END + MANY_ANSWERS,
    { whyNotCompaction: () => undefined },
  );
  deepStrictEqual(gaps, []);
});

const HALF_A_MEGABYTE = MEGABYTE / 2;
/** A batch that takes all that a partition may have of an answer. */
const large = (offset: number) =>
  batch(offset, [offset], { record: () => ({ key: null, value: Buffer.alloc(HALF_A_MEGABYTE, "x") }) });

Deno.test("partitions that an answer has no room for are asked for together with the others again, not alone", async () => {
  const alone: number[] = [];
  const { all } = await fetched(12, ({ partition, offset }, { targets }) => {
    const behind = targets.filter((target) => target.offset < 3);
    if (targets.length === 1 && behind.length === 1) alone.push(partition);
    const served = behind.slice(0, 4).some((target) => target.partition === partition);
    return { records: served ? large(offset) : Buffer.alloc(0), lastStableOffset: 3 };
  }, stored(3));
  deepStrictEqual(all.map(({ nextOffset }) => nextOffset), all.map(() => 3));
  // One that alone has room for more is asked for alone, and the last one that is behind.
  ok(alone.length <= 3, `asked for alone: ${alone}`);
});

Deno.test("a compacted log that never gives another record is read to its end although others fill every answer", async () => {
  const { gaps } = await fetched(
    6,
    ({ partition, offset }, { targets }) => {
      if (partition === 0) return {};
      const ahead = targets.findIndex((target) => target.partition === partition);
      return { records: ahead < 5 ? large(offset) : Buffer.alloc(0), lastStableOffset: Infinity };
    },
    ([first]) => first?.nextOffset === END,
    { whyNotCompaction: () => undefined },
  );
  deepStrictEqual(gaps, [{ from: 0, to: END, cause: "compacted" }]);
});

/** A megabyte, of which a thousand bytes are on the wire. */
const dense = batch(0, [0], {
  record: () => ({ key: null, value: Buffer.alloc(MEGABYTE, "heartbeat") }),
  compression: "zstd",
});

Deno.test("partitions that have nothing do not make the others' answers small, whatever they had, and are asked for little", async () => {
  let last: { readonly limits: FetchLimits; readonly asked: readonly number[] } | undefined;
  await fetched(64, ({ partition, offset }, { targets, limits }) => {
    const byNumber = targets.toSorted((a, b) => a.partition - b.partition);
    if (byNumber[0]?.offset === 9) last = { limits, asked: byNumber.map(({ maxBytes }) => maxBytes) };
    const end = [10, 1][partition] ?? 0;
    if (offset === end) return { lastStableOffset: end };
    return { records: partition === 0 ? large(offset) : dense, lastStableOffset: end };
  }, ([first]) => first?.nextOffset === 10);
  strictEqual(last?.limits.maxBytes, 2 * MEGABYTE);
  deepStrictEqual(last?.asked.slice(0, 4), [HALF_A_MEGABYTE, 16_384, 41_943, 41_943]);
});

Deno.test("after dense records little is asked for, and more again bit by bit", async () => {
  const asked: number[] = [];
  await fetched(1, ({ offset, maxBytes }) => {
    asked.push(maxBytes);
    if (offset === 40) return { lastStableOffset: 40 };
    return { records: offset === 0 ? dense : large(offset), lastStableOffset: 40 };
  }, stored(40));
  deepStrictEqual(asked.slice(0, 2), [41_943, 16_384]);
  deepStrictEqual(asked.slice(1), asked.slice(1).toSorted((a, b) => a - b));
  strictEqual(asked.at(-1), HALF_A_MEGABYTE);
});

/** A batch of which nothing can be made. */
const UNREADABLE = Buffer.concat([
  records(0, 1).subarray(0, 16),
  Buffer.from([0]),
  records(0, 1).subarray(17),
]);

Deno.test("what a partition holds that cannot be read is not due, and the partition beside it is read", async () => {
  const { all, written, failures } = await fetched(2, ({ partition, offset }) => {
    if (partition === 0) return { records: UNREADABLE };
    return offset === END ? {} : { records: records(0, END) };
  }, ([, read], failures) => read?.nextOffset === END && failures.length > 0);
  deepStrictEqual(written, ["1: 100 records to 100"]);
  match(failures[0] ?? "", /RangeError/);
  deepStrictEqual(all.map(({ due }) => due), [0, 0]);
  strictEqual(all[0]?.endOffset, END, "its lag is shown all the same");
});

Deno.test("what a broker holds that went away is not due, though its lag is known", async () => {
  let asked = 0;
  const { all } = await fetched(2, ({ partition }) => {
    if (++asked > 2) throw new Error("Connection closed");
    return partition === 0 ? { records: records(0, 40) } : { records: records(0, 1), lastStableOffset: 1 };
  }, (all, failures) => all.every(({ isDrained }) => isDrained) && failures.length > 0);
  deepStrictEqual(all.map(({ nextOffset, endOffset, due }) => [nextOffset, endOffset, due]), [
    [40, END, 0],
    [1, 1, 0],
  ]);
});

Deno.test("a partition whose broker answers again is due up to its end", async () => {
  let asked = 0;
  const { all } = await fetched(1, () => {
    if (++asked === 1) throw new Error("Connection closed");
    // Nothing more, and no proof of it either.
    return asked === 2 ? { records: records(0, 40) } : { throttled: true };
  }, ([one]) => one?.nextOffset === 40);
  deepStrictEqual(all.map(({ due }) => due), [60]);
});

Deno.test("while a batch cannot be read its partition is asked for now and then, and the others at once", async () => {
  let damaged = 0;
  let others = 0;
  const { failures, written } = await fetched(2, ({ partition, offset }) => {
    if (partition === 1) {
      others++;
      return { records: records(offset, offset + 1), lastStableOffset: offset + 2 };
    }
    // Damaged on the way six times; then as it is in the log.
    if (offset === 0 && damaged++ < 6) return { records: UNREADABLE };
    return offset === END ? {} : { records: records(0, END) };
  }, ([first]) => first?.nextOffset === END);
  strictEqual(failures.filter((said) => said.startsWith("0: RangeError")).length, 6);
  strictEqual(failures.at(-1), "0: readable");
  ok(others > 60, `the other was asked ${others} times meanwhile`);
  ok(written.includes("0: 100 records to 100"));
});

Deno.test("of an answer that is far denser than was foreseen the rest is asked for again, when there is room", async () => {
  const value = Buffer.alloc(5 * MEGABYTE, "heartbeat");
  const dense = batch(0, [0], { record: () => ({ key: null, value }), compression: "zstd" });
  const letGo = Promise.withResolvers<void>();
  let held = 0;
  await fetched(
    12,
    ({ offset }) => ({ records: offset === 0 ? dense : Buffer.alloc(0), lastStableOffset: 1 }),
    (all) => {
      if (
        held === 0 && all.some(({ fetchOffset }) => fetchOffset > 0) && all.every((one) => !one.wantsRecords)
      ) {
        held = all.filter(({ fetchOffset }) => fetchOffset > 0).length * value.length;
        letGo.resolve();
      }
      return stored(1)(all);
    },
    {
      roomBytes: 24 * MEGABYTE,
      write: async ({ next }) => {
        await letGo.promise;
        return { next };
      },
    },
  );
  ok(held >= 24 * MEGABYTE && held <= 45 * MEGABYTE, `${held} bytes were held`);
});
