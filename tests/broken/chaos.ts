/** Broken builds that a short run of `chaos` notices, and broken builds of chaos itself. */
import type { BrokenBuild } from "./broken_build.ts";

const SHORT_RUN = {
  file: "tests/faults/chaos_test.ts",
  name: "15 seeded faults in half a minute: none lost, none twice, and the schedule is told",
};
const JUDGE = {
  file: "tests/faults/chaos_test.ts",
  name: "the judge of chaos finds nothing in what is well, and each thing that was done to the tables",
};
const LINK = "tests/integration/link_test.ts";

export const BROKEN_BUILDS: readonly BrokenBuild[] = [
  {
    breaks: "the next offset is written in a transaction of its own, under links that end inside of it",
    mode: 3,
    edits: [{
      file: "workers/consumer/store/batch_transaction.ts",
      find: "if (gaps.length > 0) await storeGaps(session, ledger, gaps);",
      replace: `await session.query("commit");
      await session.query("begin");
      if (gaps.length > 0) await storeGaps(session, ledger, gaps);`,
    }],
    test: SHORT_RUN,
  },
  {
    breaks:
      "a batch is written wherever the offset stands: nobody looks for a stale owner or a COMMIT that took place",
    mode: 10,
    edits: [{
      file: "workers/consumer/store/sink.ts",
      find: "return nextOffset === from ? undefined",
      replace: "return !Number.isNaN(nextOffset) ? undefined",
    }, {
      file: "workers/consumer/store/conclude.ts",
      find: "where ledger.next_offset = batch.from_offset",
      replace: "",
    }],
    test: SHORT_RUN,
  },
  {
    breaks: "the judge of chaos meets each row and does not look at its values",
    edits: [{
      file: "chaos/judge_rows.ts",
      find: "if (wanted.heartRate !== heart_rate || wanted.anomaly !== anomaly) {",
      replace: "if (wanted.anomaly !== anomaly) {",
    }],
    test: JUDGE,
  },
  {
    breaks: "the judge of chaos counts rejects and does not look for each",
    edits: [{
      file: "chaos/judge_rejects.ts",
      find: `...say("lost, no reject for record", lost),`,
      replace: "",
    }],
    test: JUDGE,
  },
  {
    breaks: "the judge of chaos looks for rows only where it expects some",
    edits: [{ file: "chaos/judge.ts", find: "...await this.#judgeElsewhere(totals.rows),", replace: "" }],
    test: JUDGE,
  },
  {
    breaks: "a link that is healed goes on in a connection that lost bytes",
    edits: [{
      file: "stack/lane.ts",
      find: "return flow.deaf || this.#impairment.silent === true;",
      replace: "return this.#impairment.silent === true;",
    }],
    test: {
      file: LINK,
      name:
        "a silent link accepts, swallows and closes nothing; what lost bytes stays silent, a new connection is well",
    },
  },
  {
    breaks: "a slow link keeps in memory what its sender says",
    edits: [{
      file: "stack/lane.ts",
      find: "if (flow.held > HELD_BYTES) await delivered;",
      replace: "",
    }],
    test: {
      file: LINK,
      name: "a slow link holds its sender back instead of keeping what it said, and loses nothing",
    },
  },
  {
    breaks: "each piece on a link waits for its own time, so that a lucky one overtakes",
    edits: [{
      file: "stack/lane.ts",
      find: "delivered = delivered.then(async () => {",
      replace: "delivered = Promise.resolve().then(async () => {",
    }],
    test: {
      file: LINK,
      name: "bytes pass both ways, and in their order when each piece is late by another time",
    },
  },
  {
    breaks: "a pipeline that does not begin is waited for until it does",
    edits: [{
      file: "chaos/run.ts",
      find: "if (!await comesWhileMoving(running, watch, { standstillMs, signal: both })) {",
      replace: "await Promise.race([running, aborted(both)]);\n  if (problems.length > 0) {",
    }],
    test: {
      file: "tests/faults/chaos_test.ts",
      name: "a pipeline that cannot begin ends a run of chaos with a difference, and is not waited for",
    },
  },
  {
    breaks: "a ledger that was not looked at yet counts as one that moves",
    edits: [{
      file: "chaos/standstill.ts",
      find: "if (!await waitFor(moved, standstillMs)) return false;",
      replace:
        "if (!await waitFor(moved, standstillMs) && seen > 0) return false;\n    if (seen === 0) there = true;",
    }],
    test: {
      file: "tests/unit/chaos/standstill_test.ts",
      name: "who waits for a pipeline that does not begin is told so, and does not wait for ever",
    },
  },
  {
    breaks: "a link is put before a database whose name is checked",
    edits: [{
      file: "chaos/foreign_arena.ts",
      find: `(searchParams.get("sslmode") ?? "disable") !== "disable"`,
      replace: `searchParams.get("sslmode") === "verify-full"`,
    }],
    test: {
      file: "tests/unit/chaos/foreign_arena_test.ts",
      name:
        "chaos puts its link before a database without TLS only: with TLS the link's address is not the certificate's",
    },
  },
];
