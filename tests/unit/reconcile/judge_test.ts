import assert from "node:assert/strict";
import { isAccounted, judge } from "../../../workers/reconcile/judge.ts";
import type { KafkaLog } from "../../../workers/reconcile/kafka_logs.ts";
import type { Account } from "../../../workers/reconcile/recount.ts";

const ID = "00000000-0000-0000-0000-00000000000a";
const NONE = { rejectsOutside: 0, rejectsMisfiled: 0, rejectsInGaps: 0, gapsOutside: 0, gapsOverlapping: 0 };
const FOUND: Account["found"] = { rejects: 2, gapOffsets: 3, ...NONE };
const COUNTS = { first: 100, next: 120, stored: 14, duplicates: 1, rejected: 2, gaps: 3 };
const ACCOUNT: Account = {
  topic: "t",
  topicId: ID,
  partition: 1,
  generation: 0,
  newest: true,
  ...COUNTS,
  found: FOUND,
};
const LOG = { topic: "t", topicId: ID, partition: 1, earliest: 100, end: 125 };

function judged(accounts: readonly Account[], logs: readonly KafkaLog[], heartbeatRows = 14) {
  return judge({ accounts, heartbeatRows, derived: { differing: 0, examples: [] } }, logs);
}

Deno.test("judge() finds a ledger that agrees with its tables accounted for; what is unread is lag", () => {
  const judgement = judged([ACCOUNT], [LOG, { ...LOG, partition: 2, earliest: 10, end: 17 }]);
  assert.deepEqual(judgement.problems, []);
  assert.ok(isAccounted(judgement));
  assert.deepEqual(
    judgement.lines.map(({ partition, lag, end, unaccounted }) => [partition, lag, end, unaccounted]),
    [[1, 5, 125, 0], [2, 7, 17, 0]],
  );
});

type Found = Partial<Account["found"]>;
const PROBLEMS: readonly (readonly [what: string, Partial<Account>, Found, RegExp, unaccounted: number])[] = [
  ["a missing reject", {}, { rejects: 1 }, /partition 1 of t .*rejected is 2, .* 1 rows: 1 missing/, 1],
  ["a reject too many", {}, { rejects: 4 }, /4 rows: 2 too many/, -2],
  ["missing gap offsets", {}, { gapOffsets: 1 }, /gaps is 3, but ingest_gaps has 1 offsets: 2 missing/, 2],
  ["wrong counts", { duplicates: 0 }, {}, /20 offsets were read .* add up to 19: 1 missing/, 1],
  ["a reject outside", {}, { rejectsOutside: 1 }, /1 rows of heartbeat_rejects lie outside 100 to 120/, 0],
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

Deno.test("judge() does not hold an older generation to the log's end", () => {
  const found = { ...FOUND, rejects: 0, gapOffsets: 0 };
  const counts = { first: 0, next: 5, stored: 5, duplicates: 0, rejected: 0, gaps: 0 };
  const newer = { ...ACCOUNT, generation: 1, ...counts, found };
  const log = { ...LOG, earliest: 0, end: 5 };
  const { problems, lines } = judged([{ ...ACCOUNT, newest: false }, newer], [log], 19);
  assert.deepEqual(problems, []);
  assert.deepEqual(lines.map(({ end, lag }) => [end, lag]), [[null, null], [5, 0]]);
});

const LOGS: readonly (readonly [what: string, logs: readonly KafkaLog[], problem: RegExp, note: RegExp])[] = [
  [
    "a partition left out",
    [{ ...LOG, partition: 0 }],
    /partition 1 of t .*does not name this partition/,
    /^$/,
  ],
  ["lost records", [{ ...LOG, end: 110 }], /was read to 120, .* ends at 110: the log lost 10 records/, /^$/],
  ["records that were gone unread", [{ ...LOG, earliest: 122 }], /^$/, /now begins at 122/],
  ["a deleted topic", [], /^$/, /topic t with the id .* was deleted/],
];

for (const [what, logs, problem, note] of LOGS) {
  Deno.test(`judge() tells of Kafka: ${what}`, () => {
    const { problems, notes, lines } = judged([ACCOUNT], logs);
    assert.match(problems.join(), problem);
    assert.match(notes.join(), note);
    if (logs.length === 0) assert.equal(lines[0]?.end, null);
  });
}
