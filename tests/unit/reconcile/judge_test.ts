import assert from "node:assert/strict";
import { isAccounted, judge } from "../../../workers/reconcile/judge.ts";
import type { KafkaLog } from "../../../workers/reconcile/kafka_logs.ts";
import type { Account, Recount } from "../../../workers/reconcile/recount.ts";

const ID = "00000000-0000-0000-0000-00000000000a";
const NONE = { rejectsOutside: 0, rejectsMisfiled: 0, rejectsInGaps: 0, gapsOutside: 0, gapsOverlapping: 0 };
const FOUND: Account["found"] = { rejects: 2, gapOffsets: 3, ...NONE };
const COUNTS = { first: 100, next: 120, stored: 14, duplicates: 1, rejected: 2, gaps: 3 };
const FEED: Account["feed"] = { position: 120, seconds: 0, breaks: 0, end: 120, missingMoves: 0 };
const ROLLUP = { comparedFrom: null, orphans: 0 };
const ACCOUNT: Account = {
  topic: "t",
  topicId: ID,
  partition: 1,
  generation: 0,
  newest: true,
  ...COUNTS,
  found: FOUND,
  feed: FEED,
};
const LOG = { topic: "t", topicId: ID, partition: 1, earliest: 100, end: 125 };

function judged(
  accounts: readonly Account[],
  logs: readonly KafkaLog[],
  { heartbeatRows = 14, rollup = ROLLUP }: Partial<Pick<Recount, "heartbeatRows" | "rollup">> = {},
) {
  return judge({ accounts, heartbeatRows, rollup, derived: { differing: 0, examples: [] } }, logs);
}

Deno.test("judge() accepts a ledger that agrees with its tables, and reports unread records as lag", () => {
  const judgement = judged([ACCOUNT], [LOG, { ...LOG, partition: 2, earliest: 10, end: 17 }]);
  assert.deepEqual(judgement.problems, []);
  assert.ok(isAccounted(judgement));
  assert.deepEqual(
    judgement.lines.map(({ partition, lag, end, unaccounted }) => [partition, lag, end, unaccounted]),
    [[1, 5, 125, 0], [2, 7, 17, 0]],
  );
});

type Found = Partial<Account["found"]>;
/** Each case changes a ledger row at offset 120 or the rows of its tables, and gives the message about the difference. */
const PROBLEMS: readonly (readonly [what: string, Partial<Account>, Found, RegExp, unaccounted: number])[] = [
  ["a missing reject", {}, { rejects: 1 }, /partition 1 of t .*rejected is 2, .* 1 rows: 1 missing/, 1],
  ["an extra reject", {}, { rejects: 4 }, /4 rows: 2 too many/, -2],
  ["missing gap offsets", {}, { gapOffsets: 1 }, /gaps is 3, but ingest_gaps has 1 offsets: 2 missing/, 2],
  ["wrong counts", { duplicates: 0 }, {}, /20 offsets were read .* add up to 19: 1 missing/, 1],
  [
    "a reject outside the range",
    {},
    { rejectsOutside: 1 },
    /1 rows of heartbeat_rejects lie outside 100 to 120/,
    0,
  ],
  ["a misfiled reject", {}, { rejectsMisfiled: 1 }, /name another topic or partition/, 0],
  ["a reject in a gap", {}, { rejectsInGaps: 1 }, /lie in a gap/, 0],
  ["a gap outside the range", {}, { gapsOutside: 1 }, /reach outside 100 to 120/, 0],
  ["overlapping gaps", {}, { gapsOverlapping: 1 }, /overlap another/, 0],
  ["lost rows", { stored: 15, duplicates: 0 }, {}, /sum of stored is 15, .* 14 rows: 1 missing/, 0],
];

for (const [what, account, found, text, unaccounted] of PROBLEMS) {
  Deno.test(`judge() reports ${what}`, () => {
    const judgement = judged([{ ...ACCOUNT, ...account, found: { ...FOUND, ...found } }], [LOG]);
    assert.equal(judgement.problems.length, 1, judgement.problems.join("\n"));
    assert.match(judgement.problems[0] ?? "", text);
    assert.equal(judgement.lines[0]?.unaccounted, unaccounted);
    assert.ok(!isAccounted(judgement));
  });
}

const CHAINS: readonly (readonly [what: string, Partial<Account["feed"]>, RegExp])[] = [
  [
    "a change that does not continue the previous one",
    { breaks: 1 },
    /1 rows of ingest_changes do not continue/,
  ],
  [
    "changes that end too early",
    { position: 100, end: 110, missingMoves: 2 },
    /the rollup is at 100 and its pending changes end at 110, but the ledger is at 120, moves: 2 missing/,
  ],
  ["a position ahead of the ledger", { position: 130, end: 130, missingMoves: -1 }, /at 130 .*: 1 too many/],
  [
    "another offset after the same number of moves",
    { position: 119, end: 119 },
    /is at 119 .* the ledger is at 120;/,
  ],
];

for (const [what, feed, text] of CHAINS) {
  Deno.test(`judge() reports ${what}, except during a rebuild`, () => {
    const account = { ...ACCOUNT, feed: { ...FEED, ...feed } };
    const { problems } = judged([account], [LOG]);
    assert.equal(problems.length, 1, problems.join("\n"));
    assert.match(problems[0] ?? "", text);
    const rollup = { comparedFrom: "infinity", orphans: 1 };
    const rebuilding = judged([account], [LOG], { rollup });
    assert.deepEqual(rebuilding.problems, []);
    assert.ok(
      !isAccounted(rebuilding),
      "a rebuild must not count as accounted, because no minute was compared",
    );
  });
}

Deno.test("judge() reports positions without a ledger row, and adds up the offsets that wait for the rollup", () => {
  const waiting = { ...ACCOUNT, feed: { ...FEED, position: 110, seconds: 2.5 } };
  const older = { ...waiting, partition: 0, feed: { ...FEED, position: 113, seconds: 7.25 } };
  const rollup = { comparedFrom: null, orphans: 3 };
  const judgement = judged([waiting, older], [LOG, { ...LOG, partition: 0 }], { heartbeatRows: 28, rollup });
  assert.deepEqual(judgement.rollup, { offsetsBehind: 17, secondsBehind: 7.25, comparedFrom: null });
  assert.match(judgement.problems.join(), /^rollup_positions and ingest_changes: 3 rows name a ledger row/);
});

Deno.test("judge() does not compare an older generation with the end of the log", () => {
  const found = { ...FOUND, rejects: 0, gapOffsets: 0 };
  const counts = { first: 0, next: 5, stored: 5, duplicates: 0, rejected: 0, gaps: 0 };
  const newer = { ...ACCOUNT, generation: 1, ...counts, found, feed: { ...FEED, position: 5, end: 5 } };
  const log = { ...LOG, earliest: 0, end: 5 };
  const { problems, lines } = judged([{ ...ACCOUNT, newest: false }, newer], [log], { heartbeatRows: 19 });
  assert.deepEqual(problems, []);
  assert.deepEqual(lines.map(({ end, lag }) => [end, lag]), [[null, null], [5, 0]]);
});

const LOGS: readonly (readonly [what: string, logs: readonly KafkaLog[], problem: RegExp, note: RegExp])[] = [
  [
    "a partition that the topic no longer has",
    [{ ...LOG, partition: 0 }],
    /partition 1 of t .*no longer has this partition/,
    /^$/,
  ],
  [
    "records that the log lost",
    [{ ...LOG, end: 110 }],
    /was read to 120, .* ends at 110: the log lost 10 records/,
    /^$/,
  ],
  ["records that were deleted unread", [{ ...LOG, earliest: 122 }], /^$/, /now begins at 122/],
  ["a deleted topic", [], /^$/, /topic t with the id .* was deleted/],
];

for (const [what, logs, problem, note] of LOGS) {
  Deno.test(`judge() compares the ledger with Kafka and reports ${what}`, () => {
    const { problems, notes, lines } = judged([ACCOUNT], logs);
    assert.match(problems.join(), problem);
    assert.match(notes.join(), note);
    if (logs.length === 0) assert.equal(lines[0]?.end, null);
  });
}
