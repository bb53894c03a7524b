import { Buffer } from "node:buffer";
import { deepStrictEqual, ok, strictEqual } from "node:assert";
import type { FetchLimits } from "../../../../workers/_shared/kafka/fetcher.ts";
import { END, records, runFetchLoop, stored } from "../../../support/fetch_loop.ts";
import { batch } from "../../../support/record_batch.ts";

const MEGABYTE = 1024 * 1024;
const HALF_A_MEGABYTE = MEGABYTE / 2;
/** A batch that fills the share of one partition in a fetch response. */
const large = (offset: number) =>
  batch(offset, [offset], { record: () => ({ key: null, value: Buffer.alloc(HALF_A_MEGABYTE, "x") }) });

Deno.test("the fetch loop does not isolate partitions that did not fit into a response, and fetches them together again", async () => {
  const alone: number[] = [];
  const { all } = await runFetchLoop(12, ({ partition, offset }, { targets }) => {
    const behind = targets.filter((target) => target.offset < 3);
    if (targets.length === 1 && behind.length === 1) alone.push(partition);
    const served = behind.slice(0, 4).some((target) => target.partition === partition);
    return { records: served ? large(offset) : Buffer.alloc(0), lastStableOffset: 3 };
  }, stored(3));
  deepStrictEqual(all.map(({ nextOffset }) => nextOffset), all.map(() => 3));
  // A partition is fetched alone if no other one may fetch more, and so is the last one that still has records.
  ok(alone.length <= 3, `isolated: ${alone}`);
});

Deno.test("the fetch loop reaches the end of a compacted log without records even if other partitions fill every response", async () => {
  const { gaps } = await runFetchLoop(
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

/** A batch of 1 MiB that needs about a thousand bytes in a response. */
const dense = batch(0, [0], {
  record: () => ({ key: null, value: Buffer.alloc(MEGABYTE, "heartbeat") }),
  compression: "zstd",
});

Deno.test("the fetch loop requests few bytes from partitions without records and does not reduce the share of the others", async () => {
  let last: { readonly limits: FetchLimits; readonly asked: readonly number[] } | undefined;
  await runFetchLoop(64, ({ partition, offset }, { targets, limits }) => {
    const byNumber = targets.toSorted((a, b) => a.partition - b.partition);
    if (byNumber[0]?.offset === 9) last = { limits, asked: byNumber.map(({ maxBytes }) => maxBytes) };
    const end = [10, 1][partition] ?? 0;
    if (offset === end) return { lastStableOffset: end };
    return { records: partition === 0 ? large(offset) : dense, lastStableOffset: end };
  }, ([first]) => first?.nextOffset === 10);
  strictEqual(last?.limits.maxBytes, 2 * MEGABYTE);
  deepStrictEqual(last?.asked.slice(0, 4), [HALF_A_MEGABYTE, 16_384, 41_943, 41_943]);
});

Deno.test("the fetch loop requests few bytes after dense records, and gradually more again", async () => {
  const asked: number[] = [];
  await runFetchLoop(1, ({ offset, maxBytes }) => {
    asked.push(maxBytes);
    if (offset === 40) return { lastStableOffset: 40 };
    return { records: offset === 0 ? dense : large(offset), lastStableOffset: 40 };
  }, stored(40));
  deepStrictEqual(asked.slice(0, 2), [41_943, 16_384]);
  deepStrictEqual(asked.slice(1), asked.slice(1).toSorted((a, b) => a - b));
  strictEqual(asked.at(-1), HALF_A_MEGABYTE);
});

const CORRUPT = Buffer.concat([
  records(0, 1).subarray(0, 16),
  Buffer.from([0]),
  records(0, 1).subarray(17),
]);

Deno.test("records after a corrupt batch do not count as fetchable lag, and other partitions are read", async () => {
  const { all, written, events } = await runFetchLoop(2, ({ partition, offset }) => {
    if (partition === 0) return { records: CORRUPT };
    return offset === END ? {} : { records: records(0, END) };
  }, ([, read], events) => read?.nextOffset === END && events.length > 0);
  deepStrictEqual(written, ["1: 100 records to 100"]);
  strictEqual(events[0], "partition.unreadable 0");
  deepStrictEqual(all.map(({ fetchableLag }) => fetchableLag), [0, 0]);
  strictEqual(all[0]?.lastStableOffset, END, "the last stable offset must be unknown");
});

Deno.test("records on an unavailable broker do not count as fetchable lag", async () => {
  let asked = 0;
  const { all } = await runFetchLoop(2, ({ partition }) => {
    if (++asked > 2) throw new Error("Connection closed");
    return partition === 0 ? { records: records(0, 40) } : { records: records(0, 1), lastStableOffset: 1 };
  }, (all, events) => all.every(({ isDrained }) => isDrained) && events.length > 0);
  deepStrictEqual(
    all.map(({ nextOffset, lastStableOffset, fetchableLag }) => [nextOffset, lastStableOffset, fetchableLag]),
    [
      [40, END, 0],
      [1, 1, 0],
    ],
  );
});

Deno.test("records up to the last stable offset count as fetchable lag again when their broker answers", async () => {
  let asked = 0;
  const { all } = await runFetchLoop(1, () => {
    if (++asked === 1) throw new Error("Connection closed");
    // A throttled response without records does not prove that the log is empty.
    return asked === 2 ? { records: records(0, 40) } : { throttled: true };
  }, ([only]) => only?.nextOffset === 40);
  deepStrictEqual(all.map(({ fetchableLag }) => fetchableLag), [60]);
});

Deno.test("the fetch loop fetches a partition with a corrupt batch only now and then, and other partitions without delay", async () => {
  let damaged = 0;
  let others = 0;
  const { events, written } = await runFetchLoop(2, ({ partition, offset }) => {
    if (partition === 1) {
      others++;
      return { records: records(offset, offset + 1), lastStableOffset: offset + 2 };
    }
    // The batch is damaged in transit six times and intact in the log.
    if (offset === 0 && damaged++ < 6) return { records: CORRUPT };
    return offset === END ? {} : { records: records(0, END) };
  }, ([first]) => first?.nextOffset === END);
  strictEqual(damaged, 7);
  deepStrictEqual(events.filter((event) => event.endsWith("readable 0")), [
    "partition.unreadable 0",
    "partition.readable 0",
  ]);
  ok(others > 60, `the other partition was fetched only ${others} times meanwhile`);
  ok(written.includes("0: 100 records to 100"));
});

Deno.test("the fetch loop drops the rest of a response that is too dense, and fetches it again when memory is free", async () => {
  const value = Buffer.alloc(5 * MEGABYTE, "heartbeat");
  const dense = batch(0, [0], { record: () => ({ key: null, value }), compression: "zstd" });
  const release = Promise.withResolvers<void>();
  let held = 0;
  await runFetchLoop(
    12,
    ({ offset }) => ({ records: offset === 0 ? dense : Buffer.alloc(0), lastStableOffset: 1 }),
    (all) => {
      if (
        held === 0 && all.some(({ fetchOffset }) => fetchOffset > 0) &&
        all.every((partition) => !partition.wantsRecords)
      ) {
        held = all.filter(({ fetchOffset }) => fetchOffset > 0).length * value.length;
        release.resolve();
      }
      return stored(1)(all);
    },
    {
      memoryBudgetBytes: 24 * MEGABYTE,
      write: async ({ next }) => {
        await release.promise;
        return next;
      },
    },
  );
  ok(held >= 24 * MEGABYTE && held <= 45 * MEGABYTE, `${held} bytes were held`);
});

Deno.test("the fetch loop requires a leader epoch that is at least the known epoch and the epoch of the last record", async () => {
  for (const [epoch, first, then] of [[3, 3, 6], [7, 7, 7], [-1, -1, -1]] as const) {
    const asked: number[] = [];
    await runFetchLoop(
      1,
      ({ offset, requiredEpoch }) => {
        asked.push(requiredEpoch);
        if (offset === 1) return { lastStableOffset: 1 };
        return { records: batch(0, [0], { leaderEpoch: 6 }), lastStableOffset: 1 };
      },
      () => asked.length >= 2,
      { epoch },
    );
    deepStrictEqual(asked.slice(0, 2), [first, then], `known epoch ${epoch}`);
  }
});
