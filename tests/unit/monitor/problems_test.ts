import { deepStrictEqual } from "node:assert";
import { problemsOf, progressOf } from "../../../workers/monitor/queries/problems.ts";

const READY = { host: "host-a", reasons: [] as readonly string[], seenSeconds: 2 };
const WELL: Parameters<typeof problemsOf>[0] = {
  consumers: [READY],
  aliveMs: 10_000,
  lag: { records: 20_000, seconds: 60 },
  rollup: { records: 300_000, seconds: 60, cursor: null },
  samples: [],
  omitsPending: false,
  omitsLately: false,
  isFull: false,
  unaccounted: 0,
};

function problems(facts: Partial<typeof WELL>): string[] {
  return problemsOf({ ...WELL, ...facts }).map(({ part, text }) => `${part}: ${text}`);
}

Deno.test("a pipeline that keeps up has no problem", () => {
  deepStrictEqual(problems({}), []);
  deepStrictEqual(problems({ consumers: [READY, { ...READY, seenSeconds: 90_000 }] }), []);
});

Deno.test("without a consumer that reports, the problem says since when, what it means, and why the last one ended", () => {
  const gone = { ...READY, seenSeconds: 130 };
  deepStrictEqual(problems({ consumers: [] }), [
    "consumer: No consumer reports: none has run yet, or the last one was stopped. Readings wait in Kafka; none is lost. Start one: deno task consume",
  ]);
  deepStrictEqual(problems({ consumers: [gone] }), [
    "consumer: No consumer has reported for 2 min 10 s. Readings wait in Kafka; none is lost. The last one ran on host-a. If it has ended, its log says why. Start one: deno task consume",
  ]);
  const reasons = ["kafka: away", "consumer: Cannot write: generation 2"];
  deepStrictEqual(problems({ consumers: [{ ...gone, reasons, seenSeconds: 7_300 }, gone] }), [
    "consumer: No consumer has reported for 2 h 1 min. Readings wait in Kafka; none is lost. The last one ran on host-a. It gave up: Cannot write: generation 2",
  ]);
});

Deno.test("a consumer without a report for 10 s is not running; after an outage of the database that is unknown", () => {
  const dead = { ...READY, seenSeconds: 12 };
  const away = { ...READY, reasons: ["kafka: away"] };
  deepStrictEqual(problems({ consumers: [away, dead] }), [
    "broker: The consumer is not ready: kafka: away",
  ]);
  deepStrictEqual(problems({ consumers: [dead] }).length, 1);
  deepStrictEqual(problems({ consumers: [dead, dead], aliveMs: 15_000 }), [
    "consumer: The database answers again. The last report of a consumer is 12 s old, so it is unknown whether one runs.",
  ]);
  deepStrictEqual(problems({ consumers: [READY, dead], aliveMs: 15_000 }), []);
});

Deno.test("the pipeline reads if a consumer reports that it can, or if a batch was written lately", () => {
  const since = (consumers: readonly (typeof READY)[], lastBatchAt: number | null, aliveMs = 10_000) =>
    progressOf({ at: 100_000, consumers, lastBatchAt, aliveMs, lag: WELL.lag }).unknownSince;
  const away = { ...READY, reasons: ["kafka: away"] };
  deepStrictEqual(since([READY], 0), null);
  deepStrictEqual(since([{ ...READY, reasons: ["rollup: no round for 40 s"] }], 0), null);
  deepStrictEqual(since([away], 95_000), null);
  deepStrictEqual(since([away], 60_000), 60_000);
  deepStrictEqual(since([{ ...READY, seenSeconds: 12 }], 60_000), 88_000);
  deepStrictEqual(
    since([{ ...READY, seenSeconds: 12 }], 60_000, 15_000),
    88_000,
    "unknown after an outage of the database",
  );
  deepStrictEqual(since([], 60_000), 60_000);
  deepStrictEqual(since([], null), null, "nothing was ever read");
  const late = {
    at: 100_000,
    consumers: [READY],
    lastBatchAt: 99_000,
    aliveMs: 10_000,
    lag: { records: 9, seconds: 70 },
  };
  deepStrictEqual(progressOf(late), { stands: false, unknownSince: 30_000 });
});

Deno.test("the reasons of consumers name the part that fails, and each reason is one problem", () => {
  const reasons = [
    "kafka: Cannot reach Kafka at k:9092",
    "database: Cannot write at PostgreSQL",
    "records of partition 3: corrupt",
    "kafka: not connected yet",
    "group: not joined yet",
    "offset of partition 0: held",
    "rollup: no round for 40 s",
  ];
  deepStrictEqual(
    problems({ consumers: [{ ...READY, reasons }] }).map((text) =>
      text.split(": The consumer is not ready: ")
    ),
    [
      ["database", "database: Cannot write at PostgreSQL"],
      ["consumer", "group: not joined yet"],
      ["broker", "kafka: Cannot reach Kafka at k:9092"],
      ["consumer", "kafka: not connected yet"],
      ["consumer", "offset of partition 0: held"],
      ["broker", "records of partition 3: corrupt"],
      ["rollup", "rollup: no round for 40 s"],
    ],
  );
  const away = { ...READY, reasons: ["kafka: away"] };
  deepStrictEqual(problems({ consumers: [away, READY, away] }), [
    "broker: 2 of 3 consumers are not ready: kafka: away",
  ]);
  deepStrictEqual(problems({ consumers: [away, READY] }), [
    "broker: 1 of 2 consumers is not ready: kafka: away",
  ]);
});

Deno.test("lag is a problem if the consumer is more than a minute behind, or if the lag grew for 20 s", () => {
  const next = "If the lag does not fall, start more consumers, or look for what slows the database.";
  deepStrictEqual(problems({ lag: { records: 12_345, seconds: 200 } }), [
    `lag: The consumer is 3 min 20 s behind: 12\u202f345 records in Kafka are not stored yet. ${next}`,
  ]);
  deepStrictEqual(problems({ lag: { records: 1, seconds: 61 } }), [
    `lag: The consumer is 1 min 1 s behind: 1 record in Kafka is not stored yet. ${next}`,
  ]);
  // A saw-tooth: the consumer hears of the end of the log every 5 s.
  const samples = (growth: number) =>
    Array.from(
      { length: 60 },
      (_, n) => ({ at: n * 500, stored: 0, lag: 2_000 + growth * n + n % 10 * 100 }),
    );
  deepStrictEqual(problems({ samples: samples(0) }), []);
  deepStrictEqual(problems({ samples: samples(100).slice(30) }), [], "too short to know");
  deepStrictEqual(problems({ samples: samples(100) }), [
    `lag: The lag grows: 20\u202f000 records in Kafka are not stored yet, 4\u202f000 more than 20 s ago. ${next}`,
  ]);
});

Deno.test("a rollup that is late, too late for this page, or rebuilding is a problem", () => {
  const late = { records: 400_000, seconds: 75, cursor: null };
  deepStrictEqual(problems({ rollup: late }), [
    "rollup: The rollup is 1 min 15 s and 400\u202f000 records behind. Until it has caught up, dashboards, the search and the list of customers who were lately beyond a limit are as of 1 min 15 s ago.",
  ]);
  deepStrictEqual(problems({ rollup: { ...late, records: 400_001, seconds: 9 }, omitsPending: true }), [
    "rollup: The rollup is 9 s and 400\u202f001 records behind. Until it has caught up, dashboards, the search and the page Now are as of 9 s ago. So are curves of more than 2 h.",
  ]);
  deepStrictEqual(problems({ rollup: { records: 0, seconds: 0, cursor: "2026-07-14T09:31:00+00:00" } }), [
    "rollup: The rollup rebuilds minutes and latest readings, the newest first. It has reached 2026-07-14 09:31 UTC. " +
    "Until it ends, customers can be missing here.",
  ]);
  deepStrictEqual(problems({ isFull: true }), [
    "rollup: More than 500\u202f000 customers reported in the last day. This page leaves out the others.",
  ]);
});

Deno.test("unaccounted offsets, or a ledger that could not be checked, are a problem", () => {
  deepStrictEqual(problems({ unaccounted: 13 }), [
    "ledger: 13 offsets are unaccounted for. To see which: deno task reconcile",
  ]);
  deepStrictEqual(problems({ unaccounted: 1 }), [
    "ledger: 1 offset is unaccounted for. To see which: deno task reconcile",
  ]);
  deepStrictEqual(problems({ unaccounted: undefined }), [
    "ledger: The ledger could not be added up; the monitor's log says why. To check it: deno task reconcile",
  ]);
});
