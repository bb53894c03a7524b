import { deepStrictEqual, match, ok, strictEqual } from "node:assert";
import { END, records, runFetchLoop, stored } from "../../../support/fetch_loop.ts";

Deno.test("records that arrive after many throttled responses are stored and do not become a gap", async () => {
  let asked = 0;
  const { written, gaps } = await runFetchLoop(1, ({ offset }) => {
    asked++;
    // Two empty responses isolate the partition, a throttled one ends the isolation, and so on.
    if (asked <= 60) return { throttled: asked % 3 === 0 };
    return offset === END ? {} : { records: records(0, END) };
  }, stored(END));
  deepStrictEqual([written, gaps], [["0: 100 records to 100"], []]);
});

/** The fetch loop pauses for seconds between two responses, so this many take minutes. */
const MANY_RESPONSES = 200;

Deno.test("records that arrive after minutes of silence are stored and become no gap, and other partitions are read meanwhile", async () => {
  let late = 0;
  let others = 0;
  const { written, gaps, events, reasons } = await runFetchLoop(
    2,
    ({ partition, offset }, { targets }) => {
      if (partition === 0 && offset === 0) {
        strictEqual(targets.length > 1 && late > 2, false, "the silent partition was not isolated");
        return late++ < MANY_RESPONSES ? {} : { records: records(0, END) };
      }
      if (partition === 1 && offset === 0 && late > 2) others++;
      return offset === END ? {} : { records: records(0, END) };
    },
    stored(END),
  );
  deepStrictEqual([written.sort(), gaps], [["0: 100 records to 100", "1: 100 records to 100"], []]);
  deepStrictEqual([events, reasons], [["partition.silent 0", "partition.heard 0"], []]);
  strictEqual(others, 0, "the other partition had to wait");
});

Deno.test("a partition is not ready, has no fetchable lag and gets no gap for minutes if the broker does not send its records", async () => {
  let asked = 0;
  const { gaps, reasons, all } = await runFetchLoop(1, ({ offset }) => {
    asked++;
    return offset < 50 ? { records: records(0, 50) } : {};
  }, () => asked > MANY_RESPONSES);
  deepStrictEqual(gaps, []);
  match(
    reasons.join(),
    /^log of partition 0: Kafka sends no record from offset 50 on, although the log ends at 100; not compacted/,
  );
  deepStrictEqual(all.map(({ fetchableLag, lastStableOffset }) => [fetchableLag, lastStableOffset]), [[
    0,
    END,
  ]]);
});

Deno.test("the end of a compacted log without further records becomes a gap", async () => {
  let settingsReads = 0;
  const { gaps, written, reasons } = await runFetchLoop(
    1,
    ({ offset }) => offset < 50 ? { records: records(0, 50) } : {},
    stored(END),
    { whyNotCompaction: () => void settingsReads++ },
  );
  deepStrictEqual(gaps, [{ from: 50, to: END, cause: "compacted" }]);
  deepStrictEqual(written, ["0: 50 records to 50", "0: 0 records to 100"]);
  deepStrictEqual(reasons, []);
  ok(
    settingsReads >= 2,
    `the settings were read ${settingsReads} times, expected reads at the beginning and at the end of the silence`,
  );
});

Deno.test("a silence does not become a gap if the topic settings exclude compaction at its end", async () => {
  let asked = 0;
  let settingsReads = 0;
  const { gaps } = await runFetchLoop(
    1,
    () => {
      asked++;
      return {};
    },
    () => asked > MANY_RESPONSES,
    { whyNotCompaction: () => settingsReads++ === 0 ? undefined : "not compacted" },
  );
  deepStrictEqual(gaps, []);
  ok(settingsReads >= 2);
});

Deno.test("the silence of a compacted log that grows never becomes a gap", async () => {
  let end = END;
  const { gaps } = await runFetchLoop(
    1,
    () => ({ lastStableOffset: ++end }),
    () => end > END + MANY_RESPONSES,
    { whyNotCompaction: () => undefined },
  );
  deepStrictEqual(gaps, []);
});

Deno.test("among many silent partitions, the partition with records gets most of the fetches", async () => {
  const [SILENT, RECORDS] = [20, 200];
  const asked = { silent: 0, other: 0 };
  await runFetchLoop(SILENT + 1, ({ partition, offset }, { targets }) => {
    if (partition === SILENT) {
      asked.other++;
      return { records: records(offset, offset + 1), lastStableOffset: RECORDS };
    }
    if (targets.length === 1) asked.silent++;
    return {};
  }, (all) => (all[SILENT]?.nextOffset ?? 0) >= RECORDS);
  ok(asked.silent >= SILENT && asked.silent < asked.other, JSON.stringify(asked));
});
