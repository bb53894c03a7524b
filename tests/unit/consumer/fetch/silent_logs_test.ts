/** Partitions of which the broker sends no record although their logs go on. The broker is a function here. */
import { deepStrictEqual, match, ok, strictEqual } from "node:assert";
import { END, fetched, records, stored } from "../../../support/fetch_loop.ts";

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
  const { written, gaps, said, reasons } = await fetched(
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
  deepStrictEqual([said, reasons], [["partition.silent 0", "partition.heard 0"], []]);
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
    reasons.join(),
    /^log of partition 0: Kafka sends no record from offset 50 on, although the log ends at 100; not compacted/,
  );
  deepStrictEqual(all.map(({ fetchableLag, lastStableOffset }) => [fetchableLag, lastStableOffset]), [[
    0,
    END,
  ]]);
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
  deepStrictEqual(reasons, []);
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

Deno.test("many partitions whose records are not sent leave most questions to the one that has some", async () => {
  const [SILENT, RECORDS] = [20, 200];
  const asked = { silent: 0, other: 0 };
  await fetched(SILENT + 1, ({ partition, offset }, { targets }) => {
    if (partition === SILENT) {
      asked.other++;
      return { records: records(offset, offset + 1), lastStableOffset: RECORDS };
    }
    if (targets.length === 1) asked.silent++;
    return {};
  }, (all) => (all[SILENT]?.nextOffset ?? 0) >= RECORDS);
  ok(asked.silent >= SILENT && asked.silent < asked.other, JSON.stringify(asked));
});
