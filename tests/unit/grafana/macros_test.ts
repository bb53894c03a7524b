import assert from "node:assert/strict";
import { expandMacros, expandProvisioned, intervalOf } from "../../../grafana/queries/grafana_macros.ts";

const context = {
  from: new Date("2018-04-12T18:00:00Z"),
  to: new Date("2018-04-12T18:05:00Z"),
  intervalMs: 300_000,
  variables: { customer: "o'brien $__timeFrom()", minutes: "5" },
};

const EXAMPLES: readonly (readonly [sql: string, expanded: string])[] = [
  ["$__timeFilter(ts)", "ts BETWEEN '2018-04-12T18:00:00.000Z' AND '2018-04-12T18:05:00.000Z'"],
  ["$__timeFrom()::timestamptz", "'2018-04-12T18:00:00.000Z'::timestamptz"],
  ["$__timeTo()", "'2018-04-12T18:05:00.000Z'"],
  ["group by $__timeGroup(ts,'5m')", "group by floor(extract(epoch from ts)/300)*300"],
  ["$__timeGroup(ts , '5m')", "floor(extract(epoch from ts)/300)*300"],
  ["$__timeGroup(ts,'5m'), value", `floor(extract(epoch from ts)/300)*300 AS "time", value`],
  ["$__timeGroupAlias(ts,'$__interval',NULL)", `floor(extract(epoch from ts)/300)*300 AS "time"`],
  ["$__interval_ms * interval '1 ms'", "300000 * interval '1 ms'"],
  ["mins => $minutes", "mins => 5"],
  ["like '$__searchFilter'", "like '%'"],
  ["'${customer:percentencode}'", "'o%27brien%20%24__timeFrom%28%29'"],
];

Deno.test("expandMacros() expands the examples of Grafana's documentation", () => {
  for (const [sql, expanded] of EXAMPLES) assert.equal(expandMacros(sql, context), expanded);
  assert.equal(expandMacros("like '$__searchFilter'", { ...context, search: "c-" }), "like 'c-%'");
});

Deno.test("expandMacros() refuses macros that Grafana refuses", () => {
  const wrong = [
    "$unknown",
    "$__timeFilter()",
    "$__timeGroup(ts)",
    "$__timeGroup(ts,'5x')",
    "$__nothing(ts)",
  ];
  for (const sql of wrong) assert.throws(() => expandMacros(sql, context), TypeError, sql);
});

Deno.test("expandMacros() expands a macro inside a quoted customer id, but not inside a percent-encoded one", () => {
  assert.match(expandMacros("'${customer}'", context), /2018/);
  assert.match(expandMacros("${customer:sqlstring}", context), /2018/);
  assert.doesNotMatch(expandMacros("'${customer:percentencode}'", context), /2018/);
});

Deno.test("intervalOf() rounds to common durations and returns at least the minimum", () => {
  assert.equal(intervalOf(3_600_000, 60, 60_000), 60_000);
  assert.equal(intervalOf(3_600_000, 1_000, 60_000), 60_000);
  assert.equal(intervalOf(86_400_000, 60, 60_000), 1_800_000);
});

Deno.test("expandProvisioned() expands variables of the environment, and reads $$ as a $", () => {
  assert.equal(expandProvisioned("$__env{A} ${A} $A $$__timeFrom()", { A: "1" }), "1 1 1 $__timeFrom()");
  assert.throws(() => expandProvisioned("$__timeFrom()"), TypeError);
});
