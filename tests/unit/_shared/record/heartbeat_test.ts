import assert from "node:assert/strict";
import { Ajv2020 } from "ajv/dist/2020.js";
import fc from "fast-check";
import { parseSettings } from "../../../../workers/_shared/env.ts";
import { UsageError } from "../../../../workers/_shared/errors.ts";
import {
  anomalyOf,
  heartbeatJsonSchema,
  heartbeatSchema,
  LIMIT_SETTINGS,
  limitsFrom,
  parseWithoutSchema,
  REJECT_REASONS,
} from "../../../../workers/_shared/record/heartbeat.ts";
import { parseInstant } from "../../../../workers/_shared/record/instant.ts";
import { anyText, property, timestampText } from "../../../support/property.ts";

const PUBLISHED = new URL("../../../../docs/heartbeat.schema.json", import.meta.url);
const VALID = { customer_id: "c-1", timestamp: "2026-07-14T09:30:00Z", heart_rate: 72 };

const limits = (environment: Record<string, string> = {}) =>
  limitsFrom(parseSettings("test", LIMIT_SETTINGS, environment), "test");

Deno.test("limitsFrom() uses 30, 220, 45 and 180 beats per minute and 300 seconds by default", () => {
  assert.deepEqual(limits(), { minBpm: 30, maxBpm: 220, lowBpm: 45, highBpm: 180, maxClockSkewSeconds: 300 });
});

Deno.test("limitsFrom() refuses limits in the wrong order and names the settings", () => {
  const message = (environment: Record<string, string>) => {
    try {
      limits(environment);
    } catch (error) {
      assert(error instanceof UsageError);
      return error.message;
    }
    return assert.fail("was accepted");
  };
  const wrong: readonly (readonly [Record<string, string>, RegExp])[] = [
    [{ HEART_RATE_MIN: "50" }, /HEART_RATE_MIN: is 50, expected at most HEART_RATE_LOW, which is 45/],
    [{ HEART_RATE_LOW: "190" }, /HEART_RATE_LOW: is 190, expected at most HEART_RATE_HIGH, which is 180/],
    [{ HEART_RATE_MAX: "170" }, /HEART_RATE_HIGH: is 180, expected at most HEART_RATE_MAX, which is 170/],
    [{ HEART_RATE_MIN: "100", HEART_RATE_MAX: "90" }, /2 settings are wrong/],
    [{ HEART_RATE_LOW: "fourty" }, /HEART_RATE_LOW: is "fourty", expected an integer from 1 to 1000/],
  ];
  for (const [environment, expected] of wrong) assert.match(message(environment), expected);
  const equal = { HEART_RATE_MIN: "60", HEART_RATE_LOW: "60", HEART_RATE_HIGH: "60", HEART_RATE_MAX: "60" };
  assert.equal(limits(equal).lowBpm, 60);
});

Deno.test("a heart rate equal to an alarm limit is not an anomaly", () => {
  const flags = [30, 44, 45, 46, 179, 180, 181, 220].map((rate) => anomalyOf(rate, limits()));
  assert.deepEqual(flags, ["low", "low", null, null, null, null, "high", "high"]);
});

Deno.test("reject reasons are distinct snake_case names", () => {
  assert.equal(new Set(REJECT_REASONS).size, REJECT_REASONS.length);
  for (const reason of REJECT_REASONS) assert.match(reason, /^[a-z0-9]+(_[a-z0-9]+)*$/);
});

Deno.test("docs/heartbeat.schema.json equals the schema that the code generates", async () => {
  const published: unknown = JSON.parse(await Deno.readTextFile(PUBLISHED));
  assert.deepEqual(published, heartbeatJsonSchema(), "run `deno task schema`");
});

const validate = new Ajv2020({ strict: true }).compile(heartbeatJsonSchema());

const MEMBERS = {
  customer_id: {
    good: [
      ...[0, -0, -42, Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER, " ", "\u0001\n", "x".repeat(128)],
      ...["\u{1f493}".repeat(128), "\uffff\ufffd\u{10ffff}", "'; drop table heartbeats; --"],
    ],
    bad: [
      ...["", "x".repeat(129), "\u{1f493}".repeat(129), "a\u0000b", "\ud800", "\udc93\ud83d", 1.5, 2 ** 53],
      ...[Infinity, null, true, ["c-1"]],
    ],
  },
  heart_rate: { good: [-1, JSON.parse("72.0")], bad: ["72", 72.5, null, true, NaN] },
  timestamp: {
    good: ["2026-07-14 11:30+02"],
    bad: [
      ...[1_767_225_600, "", "2026-07-14", "2026-13-14T09:30:00Z", "2026-07-14T09:30:00Z\n"],
      "0000-07-14T09:30:00Z",
    ],
  },
};
const RECORDS = {
  good: [VALID, { ...VALID, extra: { nested: [1] } }],
  bad: [
    ...[null, [], [VALID], "text", 72, {}, { customer_id: "c-1", timestamp: VALID.timestamp }],
    ...[{ customer_id: "c-1", heart_rate: 72 }, { timestamp: VALID.timestamp, heart_rate: 72 }],
    JSON.parse(`{"__proto__": ${JSON.stringify(VALID)}}`),
  ],
};

Deno.test("the published JSON Schema and the zod schema accept the same examples", () => {
  const members = Object.entries(MEMBERS).map(([name, { good, bad }]) => {
    const inRecord = (values: readonly unknown[]) => values.map((value) => ({ ...VALID, [name]: value }));
    return { good: inRecord(good), bad: inRecord(bad) };
  });
  for (const { good, bad } of [RECORDS, ...members]) {
    for (const [index, value] of [...good, ...bad].entries()) {
      const valid = index < good.length;
      assert.equal(heartbeatSchema.safeParse(value).success, valid, `zod: ${JSON.stringify(value)}`);
      assert.equal(validate(value), valid, `JSON Schema: ${JSON.stringify(value)}`);
    }
  }
});

// Most of these records are valid. The others have one or more malformed or absent members.
const members = fc.record({
  customer_id: fc.oneof(
    anyText(6),
    anyText(140),
    fc.string({ minLength: 1 }),
    fc.double(),
    fc.integer(),
    fc.jsonValue(),
  ),
  timestamp: fc.oneof({ weight: 8, arbitrary: timestampText() }, { weight: 1, arbitrary: fc.jsonValue() }),
  heart_rate: fc.oneof(
    { weight: 6, arbitrary: fc.integer() },
    { weight: 1, arbitrary: fc.double() },
    fc.jsonValue(),
  ),
}, { requiredKeys: [] });

Deno.test("the published JSON Schema and the zod schema differ only for dates that do not exist", () => {
  fc.assert(
    fc.property(members, (value) => {
      const dateExists = typeof value.timestamp !== "string" || parseInstant(value.timestamp) !== undefined;
      assert.equal(heartbeatSchema.safeParse(value).success, validate(value) && dateExists);
    }),
    property("JSON Schema", 50_000),
  );
});

Deno.test("parseWithoutSchema() returns the same result as the zod schema", () => {
  let valid = 0;
  fc.assert(
    fc.property(members, (value) => {
      const parsed = parseWithoutSchema(value);
      if (parsed !== undefined) valid++;
      assert.deepEqual(heartbeatSchema.safeParse(value).data, parsed);
    }),
    property("parseWithoutSchema", 100_000),
  );
  assert(valid > 1_000, `only ${valid} valid records were tried`);
});
