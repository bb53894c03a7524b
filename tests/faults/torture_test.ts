import assert from "node:assert/strict";
import { parseInstant } from "../../workers/_shared/record/instant.ts";
import { type Intended, judge } from "../support/judge.ts";
import { show } from "../support/oracle/compare.ts";
import { verdictOf } from "../support/oracle/verdict.ts";
import { onPlace } from "../support/services.ts";
import { HEART_RATE, type TortureCase } from "../support/torture/case.ts";
import { jsonCases } from "../support/torture/json_cases.ts";
import { naughtyCases } from "../support/torture/naughty_cases.ts";
import { postgresCases } from "../support/torture/postgres_cases.ts";
import { utf8Cases } from "../support/torture/utf8_cases.ts";
import { LIMITS } from "../support/wire_record.ts";

const PARTITIONS = 2;
/** The timestamps of each list begin this many seconds after those of the previous list, so no two cases share a key. */
const SECONDS_PER_LIST = 10_000;

function instantIn({ value }: TortureCase): bigint {
  const [, text = ""] = /"timestamp":"([^"]+)"/.exec(new TextDecoder().decode(value)) ?? [];
  const instant = parseInstant(text);
  assert(instant !== undefined, "a case without a timestamp cannot be stored");
  return instant;
}

function intended(testCase: TortureCase, index: number): Intended {
  const { value, key = null, expected } = testCase;
  const record = { value, key, partition: index % PARTITIONS };
  if ("reject" in expected) return { ...record, fate: expected };
  const row = { customerId: expected.customerId, ts: instantIn(testCase), heartRate: HEART_RATE };
  return { ...record, fate: "reading", row };
}

const LISTS: readonly (readonly [name: string, cases: readonly TortureCase[]])[] = [
  [
    "a consumer stores or rejects each case of JSONTestSuite as the specification says, with its exact bytes",
    jsonCases(0),
  ],
  [
    "a consumer stores or rejects each naughty string as the specification says, with its exact bytes",
    naughtyCases(SECONDS_PER_LIST),
  ],
  [
    "a consumer stores or rejects each case of UTF-8 at its limits as the specification says, with its exact bytes",
    utf8Cases(2 * SECONDS_PER_LIST),
  ],
  [
    "a consumer stores or rejects each value that PostgreSQL clients often fail on as the specification says, with its exact bytes",
    postgresCases(3 * SECONDS_PER_LIST),
  ],
];

for (const [list, cases] of LISTS) {
  Deno.test(
    list,
    onPlace({ partitions: PARTITIONS }, async (place) => {
      for (const { name, value, expected } of cases) {
        const verdict = verdictOf(value, LIMITS, Date.now());
        const outcome = verdict.kind === "reject"
          ? { reject: verdict.reason }
          : { customerId: verdict.customerId };
        assert.deepEqual(
          outcome,
          expected,
          `the specification expects another result for "${name}": ${show(value)}`,
        );
      }
      const sent = await place.publisher.send(cases.map(intended));
      await place.consumeAll();
      await judge(place, sent);
    }),
  );
}
