import assert from "node:assert/strict";
import { isAccounted, judge } from "../../../workers/reconcile/judge.ts";
import type { Account } from "../../../workers/reconcile/recount.ts";

const ID = "00000000-0000-0000-0000-00000000000a";
const FOUND: Account["found"] = {
  rejects: 2,
  rejectsOutside: 0,
  rejectsMisfiled: 0,
  rejectsInGaps: 0,
  gapOffsets: 3,
  gapsOutside: 0,
  gapsOverlapping: 0,
};
const ACCOUNT: Account = {
  topic: "t",
  topicId: ID,
  partition: 1,
  generation: 0,
  newest: true,
  first: 100,
  next: 120,
  stored: 14,
  duplicates: 1,
  rejected: 2,
  gaps: 3,
  found: FOUND,
};
const NOTHING_DIFFERS = { differing: 0, examples: [] };
const LOG = { topic: "t", topicId: ID, partition: 1, earliest: 100, end: 125 };

function judged(account: Partial<Account>, found: Partial<Account["found"]> = {}, log = LOG) {
  const accounts = [{ ...ACCOUNT, ...account, found: { ...FOUND, ...found } }];
  return judge({ accounts, heartbeatRows: 14, derived: NOTHING_DIFFERS }, [log]);
}

Deno.test("judge() finds a ledger that agrees with its tables accounted for; what is unread is lag", () => {
  const judgement = judged({});
  assert.deepEqual(judgement.problems, []);
  assert.ok(isAccounted(judgement));
  assert.deepEqual(judgement.lines.map(({ lag, end, unaccounted }) => ({ lag, end, unaccounted })), [
    { lag: 5, end: 125, unaccounted: 0 },
  ]);
});

Deno.test("judge() reports a partition that Kafka leaves out of a topic that is there", () => {
  const { problems } = judged({}, {}, { ...LOG, partition: 0 });
  assert.match(problems[0] ?? "", /partition 1 of t .*does not name this partition/);
});

const PROBLEMS: readonly (readonly [string, Partial<Account>, Partial<Account["found"]>, RegExp, number])[] =
  [
    ["a missing reject", {}, { rejects: 1 }, /partition 1 of t .*rejected is 2, .* 1 rows: 1 missing/, 1],
    ["a reject too many", {}, { rejects: 4 }, /4 rows: 2 too many/, -2],
    ["missing gap offsets", {}, { gapOffsets: 1 }, /gaps is 3, but ingest_gaps has 1 offsets: 2 missing/, 2],
    [
      "counts that do not add up",
      { duplicates: 0 },
      {},
      /20 offsets were read .* add up to 19: 1 missing/,
      1,
    ],
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
    [
      "more stored than rows",
      { stored: 15, duplicates: 0 },
      {},
      /sum of stored is 15, .* 14 rows: 1 missing/,
      0,
    ],
  ];

for (const [what, account, found, text, unaccounted] of PROBLEMS) {
  Deno.test(`judge() reports ${what}`, () => {
    const judgement = judged(account, found);
    assert.equal(judgement.problems.length, 1, judgement.problems.join("\n"));
    assert.match(judgement.problems[0] ?? "", text);
    assert.equal(judgement.lines[0]?.unaccounted, unaccounted);
    assert.ok(!isAccounted(judgement));
  });
}

Deno.test("judge() reports a log that lost records that are stored", () => {
  const { problems } = judged({}, {}, { ...LOG, end: 110 });
  assert.match(problems.join(), /was read to 120, but the log ends at 110: the log lost 10 records/);
});

Deno.test("judge() does not hold an older generation to the log's end", () => {
  const older = { ...ACCOUNT, newest: false };
  const newer = {
    ...ACCOUNT,
    generation: 1,
    first: 0,
    next: 5,
    stored: 5,
    duplicates: 0,
    rejected: 0,
    gaps: 0,
  };
  const none = { ...FOUND, rejects: 0, gapOffsets: 0 };
  const recount = {
    accounts: [older, { ...newer, found: none }],
    heartbeatRows: 19,
    derived: NOTHING_DIFFERS,
  };
  const { problems, lines } = judge(recount, [{ ...LOG, earliest: 0, end: 5 }]);
  assert.deepEqual(problems, []);
  assert.deepEqual(lines.map(({ end, lag }) => [end, lag]), [[null, null], [5, 0]]);
});

Deno.test("judge() counts a partition that nobody opened as lag", () => {
  const unread = { ...LOG, partition: 2, earliest: 10, end: 17 };
  const { lines, problems } = judge({ accounts: [ACCOUNT], heartbeatRows: 14, derived: NOTHING_DIFFERS }, [
    LOG,
    unread,
  ]);
  assert.deepEqual(problems, []);
  assert.deepEqual(lines.map(({ partition, lag }) => [partition, lag]), [[1, 5], [2, 7]]);
});

Deno.test("judge() says when records are gone that the snapshot had not read", () => {
  const { notes, problems } = judged({}, {}, { ...LOG, earliest: 122 });
  assert.deepEqual(problems, []);
  assert.match(notes.join(), /now begins at 122/);
});

Deno.test("judge() says that a topic was deleted", () => {
  const { notes, problems, lines } = judge({
    accounts: [ACCOUNT],
    heartbeatRows: 14,
    derived: NOTHING_DIFFERS,
  }, []);
  assert.deepEqual(problems, []);
  assert.match(notes.join(), /topic t with the id .* was deleted/);
  assert.equal(lines[0]?.end, null);
});
