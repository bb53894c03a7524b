/** The public lists of what breaks JSON readers, text processing and databases, through the whole pipeline. */
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
/** Cases of each list have seconds of their own. */
const APART = 10_000;

/** The instant that the case's own text says, for the row that is expected. */
function instantIn({ value }: TortureCase): bigint {
  const [, text = ""] = /"timestamp":"([^"]+)"/.exec(new TextDecoder().decode(value)) ?? [];
  const instant = parseInstant(text);
  assert(instant !== undefined, "a case that is stored says when");
  return instant;
}

function intended(one: TortureCase, index: number): Intended {
  const { value, key = null, expected } = one;
  const around = { value, key, partition: index % PARTITIONS };
  if ("reject" in expected) return { ...around, fate: expected };
  const row = { customerId: expected.customerId, ts: instantIn(one), heartRate: HEART_RATE };
  return { ...around, fate: "reading", row };
}

const LISTS: readonly (readonly [promise: string, cases: readonly TortureCase[]])[] = [
  ["JSONTestSuite: each is stored or rejected as it must be, with its exact bytes", jsonCases(0)],
  ["naughty strings: each is stored or rejected as it must be, with its exact bytes", naughtyCases(APART)],
  [
    "UTF-8 at its limits: each is stored or rejected as it must be, with its exact bytes",
    utf8Cases(2 * APART),
  ],
  [
    "what has broken writers into PostgreSQL: each is stored or rejected as it must be, with its exact bytes",
    postgresCases(3 * APART),
  ],
];

for (const [promise, cases] of LISTS) {
  Deno.test(
    promise,
    onPlace({ partitions: PARTITIONS }, async (place) => {
      for (const { name, value, expected } of cases) {
        const verdict = verdictOf(value, LIMITS, Date.now());
        const told = verdict.kind === "reject"
          ? { reject: verdict.reason }
          : { customerId: verdict.customerId };
        assert.deepEqual(told, expected, `the specification says otherwise of "${name}": ${show(value)}`);
      }
      const sent = await place.publisher.send(cases.map(intended));
      await place.consumeAll();
      await judge(place, sent);
    }),
  );
}
