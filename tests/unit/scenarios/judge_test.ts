import assert from "node:assert/strict";
import type { Evidence, StoredReject } from "../../../workers/scenarios/evidence.ts";
import { judge } from "../../../workers/scenarios/judge.ts";
import type { PublishedRecord } from "../../../workers/scenarios/publish.ts";
import { bytes, type Expected, rejected } from "../../../workers/scenarios/catalogue/scenario.ts";

const TS = "2026-07-14T09:30:00.000001Z";
const ROW = { customerId: "c", ts: TS, heartRate: 44, anomaly: "low" as const };
const STORED: Expected = { kind: "stored", row: ROW };
const DUPLICATE: Expected = { kind: "duplicate", row: ROW };
const INVALID = rejected("invalid_timestamp");
const REJECT: StoredReject = {
  reason: "invalid_timestamp",
  detail: "timestamp: is no date",
  key: bytes("k"),
  payload: bytes("v"),
  emptied: false,
};

function published(expected: Expected, offset: number | undefined = 7): PublishedRecord {
  const record = { scenario: "s", what: "w", key: bytes("k"), value: bytes("v"), customer: "c", expected };
  return { record, partition: 2, offset, ...offset === undefined ? { refusal: "too large" } : {} };
}

function evidence(found: { rows?: Evidence["rows"]; reject?: StoredReject; next?: number }): Evidence {
  const { rows = [], reject, next = 8 } = found;
  return {
    next: new Map([[2, next]]),
    rows,
    rejects: new Map(reject === undefined ? [] : [["2:7", reject]]),
  };
}

type Found = Parameters<typeof evidence>[0];
const PASSING: readonly (readonly [what: string, Expected, Found])[] = [
  ["a row as expected", STORED, { rows: [ROW] }],
  ["the row of a duplicate", DUPLICATE, { rows: [ROW] }],
  ["a reject as expected", INVALID, { reject: REJECT }],
  ["an emptied reject", INVALID, {
    reject: { ...REJECT, detail: "", key: null, payload: null, emptied: true },
  }],
];

for (const [what, expected, found] of PASSING) {
  Deno.test(`judge() accepts ${what}`, () => {
    assert.deepEqual(judge([published(expected)], evidence(found)).map(({ pass }) => pass), [true]);
  });
}

const FAILING: readonly (readonly [what: string, Expected, Found, RegExp])[] = [
  ["a missing row", STORED, {}, /^no row$/],
  ["a timestamp that differs by a microsecond", STORED, {
    rows: [{ ...ROW, ts: "2026-07-14T09:30:00.000002Z" }],
  }, /^no row$/],
  ["a wrong heart rate", STORED, { rows: [{ ...ROW, heartRate: 43 }] }, /^row 43 low/],
  ["a missing anomaly", STORED, { rows: [{ ...ROW, anomaly: null }] }, /^row 44 at/],
  [
    "a reject in addition to the row",
    STORED,
    { rows: [ROW], reject: REJECT },
    /^rejected: invalid_timestamp$/,
  ],
  ["a rejected duplicate", DUPLICATE, { rows: [ROW], reject: REJECT }, /^rejected/],
  ["a missing reject", INVALID, {}, /^no reject$/],
  ["a wrong reason", rejected("tombstone"), { reject: REJECT }, /^rejected: invalid_timestamp$/],
  ["a wrong payload", INVALID, { reject: { ...REJECT, payload: bytes("w") } }, /payload is 1 bytes/],
  ["a null payload", INVALID, { reject: { ...REJECT, payload: null } }, /payload is null/],
  ["a wrong key", INVALID, { reject: { ...REJECT, key: new Uint8Array() } }, /key is 0 bytes/],
  [
    "a detail that does not name the field",
    INVALID,
    { reject: { ...REJECT, detail: "bad" } },
    /does not say timestamp/,
  ],
  ["a record that was not read yet", STORED, { rows: [ROW], next: 7 }, /not read: the ledger is at 7/],
];

for (const [what, expected, found, text] of FAILING) {
  Deno.test(`judge() refuses ${what}`, () => {
    const [verdict] = judge([published(expected)], evidence(found));
    assert.equal(verdict?.pass, false);
    assert.match(verdict.found, text);
    assert.equal(verdict.unread, what.includes("not read"));
  });
}

Deno.test("judge() refuses a record that Kafka did not accept", () => {
  const [verdict] = judge([{ ...published(STORED), offset: undefined, refusal: "too large" }], evidence({}));
  assert.equal(verdict?.found, "refused by Kafka: too large");
});

Deno.test("judge() refuses a row that no record of its customer explains", () => {
  const found = evidence({ rows: [ROW], reject: REJECT });
  const verdicts = judge([published(INVALID)], found);
  assert.deepEqual(verdicts.map(({ pass, found }) => [pass, found]), [[true, ""], [
    false,
    `row 44 low at ${TS}`,
  ]]);
});
