/** Broken builds for the twenty ways in which comparable systems failed their users. */
import type { BrokenBuild } from "./broken_build.ts";

export const BROKEN_BUILDS: readonly BrokenBuild[] = [
  {
    breaks: "the next offset is written in a transaction of its own, after that of the rows",
    mode: 3,
    edits: [{
      file: "workers/consumer/sink.ts",
      find: "if (gaps.length > 0) await storeGaps(session, ledger, gaps);",
      replace: `await session.query("commit");
      await session.query("begin");
      if (gaps.length > 0) await storeGaps(session, ledger, gaps);`,
    }],
    test: {
      file: "tests/faults/backlog_test.ts",
      name: "kill -9 at 20 random moments of 100,000 records: none lost, none twice",
    },
  },
];
