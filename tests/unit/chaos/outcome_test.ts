import { match, strictEqual } from "node:assert";
import { judgeRows } from "../../../chaos/judge/rows.ts";
import { type Outcome, report } from "../../../chaos/outcome.ts";

const OUTCOME: Outcome = {
  command: "deno task chaos",
  elapsedMs: 3_735_400,
  counts: { produced: 2_000, failedSends: 0, stored: 2_000, rejected: 0, duplicates: 0, gaps: 0 },
  injected: [],
  unexpectedExits: 0,
  judgement: { lost: 1_200, storedTwice: 500 },
  problems: ["stored twice: record #1, #2, and 498 more"],
  judgePeakMb: 1,
};

Deno.test("report() counts the lost records and the records that are stored twice, not the problems about them", () => {
  const text = report(OUTCOME);
  match(text, /\| lost \| 1,200 \|/);
  match(text, /\| stored twice \| 500 \|/);
  match(text, /\| reported differences \| 1 \|/);
  match(text, /\| faults \| 0 in 62 min 15 s \|/);
});

Deno.test("report() gives no number of lost records if a difference ended the run early", () => {
  const text = report({ ...OUTCOME, judgement: undefined });
  match(text, /\| lost \| not judged to the end \|\n\| stored twice \| not judged to the end \|/);
});

Deno.test("judgeRows() counts each row beyond the first one of a record", async () => {
  const reading = { id: "#1", customerId: "c", micros: 7, heartRate: 70, anomaly: null };
  const row = { customer_id: "c", micros: "7", heart_rate: 70, anomaly: null };
  const query = () => Promise.resolve([row, row, row] as never);
  const { lost, storedTwice } = await judgeRows(query, { due: [reading], at: () => reading });
  strictEqual(lost, 0);
  strictEqual(storedTwice, 2);
});
