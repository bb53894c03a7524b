import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import fc from "fast-check";
import { REJECT_REASONS } from "../../../../workers/_shared/record/heartbeat.ts";
import { parseInstant } from "../../../../workers/_shared/record/instant.ts";
import { assertStorable } from "../../../support/storable.ts";
import { bytes, decode, NOW, VALID, written } from "../../../support/wire_record.ts";
import { anyText, property, timestampText } from "../../../support/property.ts";

const TS = parseInstant(VALID.timestamp);

const READ: readonly (readonly [why: string, json: string, expected: object])[] = [
  ["a record with its members in the usual order", JSON.stringify(VALID), {}],
  [
    "a record in another order and with white space",
    ` \r\n{ "heart_rate" : 72,\t"timestamp":"${VALID.timestamp}","customer_id":"c-1"}\n`,
    {},
  ],
  [
    "escapes in names and values",
    JSON.stringify(VALID).replace("customer", "c\\u0075stomer").replace("c-1", "\\u0063-1"),
    {},
  ],
  ["a record with extra members", JSON.stringify({ ...VALID, device: { heart_rate: 1, id: [null] } }), {}],
  ["a record after a byte order mark", `\ufeff${JSON.stringify(VALID)}`, {}],
  [
    "the last of several members with the same name",
    JSON.stringify(VALID).replace("{", '{"heart_rate":"x","customer_id":7,'),
    {},
  ],
  [
    "a record with a __proto__ member",
    JSON.stringify(VALID).replace("{", '{"__proto__":{"heart_rate":1},"constructor":null,'),
    {},
  ],
  [
    "a record with 100,000 nested arrays",
    JSON.stringify(VALID).replace("{", `{"x":${"[".repeat(1e5)}${"]".repeat(1e5)},`),
    {},
  ],
  ["a record with 1 MB in an extra member", JSON.stringify({ ...VALID, blob: "x".repeat(1e6) }), {}],
  ["a replacement character that the producer sent", JSON.stringify({ ...VALID, customer_id: "\ufffd" }), {
    customerId: "\ufffd",
  }],
  ["characters beyond the basic plane", written("customer_id", '"\\ud83d\\udc93 \u{1f493}"'), {
    customerId: "\u{1f493} \u{1f493}",
  }],
  [
    "a customer of 128 characters beyond the basic plane",
    JSON.stringify({ ...VALID, customer_id: "\u{1f493}".repeat(128) }),
    {
      customerId: "\u{1f493}".repeat(128),
    },
  ],
  ["SQL as the customer", JSON.stringify({ ...VALID, customer_id: "'); drop table heartbeats; --" }), {
    customerId: "'); drop table heartbeats; --",
  }],
  ["the separators of COPY in the customer", JSON.stringify({ ...VALID, customer_id: "a\tb\nc\\N\r\\." }), {
    customerId: "a\tb\nc\\N\r\\.",
  }],
  ["20 digits as a text", written("customer_id", '"12345678901234567890"'), {
    customerId: "12345678901234567890",
  }],
  ["an integer as the customer", written("customer_id", "42"), { customerId: "42" }],
  ["a negative integer as the customer", written("customer_id", "-42"), { customerId: "-42" }],
  ["zero as the customer", written("customer_id", "0"), { customerId: "0" }],
  ["minus zero as the customer", written("customer_id", "-0"), { customerId: "0" }],
  ["2^53-1", written("customer_id", "9007199254740991"), { customerId: "9007199254740991" }],
  ["-(2^53-1)", written("customer_id", "-9007199254740991"), { customerId: "-9007199254740991" }],
  ["2^53-1 with an exponent", written("customer_id", "9007199254740.991e3"), {
    customerId: "9007199254740991",
  }],
  ["42.0", written("customer_id", "42.0"), { customerId: "42" }],
  ["72.0", written("heart_rate", "72.0"), {}],
  ["72 with 20 zeros", written("heart_rate", "72.00000000000000000000"), {}],
  ["7.2e1", written("heart_rate", "7.2e1"), {}],
  ["720E-1", written("heart_rate", "720E-1"), {}],
  [
    "an exact heart rate in a record with a long number",
    JSON.stringify(VALID).replace("}", ',"x":1.00000000000000000001}'),
    {},
  ],
  ["a timestamp with an offset", written("timestamp", '"2026-07-14 11:29:59.123456+0200"'), {}],
  ["a timestamp with more than six decimals", written("timestamp", '"2026-07-14T09:29:59.123456999Z"'), {}],
  ["a timestamp without an offset", written("timestamp", '"2026-07-14T09:29:59.123456"'), {}],
  ["the year 1", written("timestamp", '"0001-01-01T00:00:00Z"'), { ts: -62_135_596_800_000_000n }],
  ["the latest timestamp that the clock skew allows", written("timestamp", '"2026-07-14T09:35:00.000000Z"'), {
    ts: BigInt(NOW + 300_000) * 1_000n,
  }],
  ["the minimum heart rate", written("heart_rate", "30"), { heartRate: 30, anomaly: "low" }],
  ["the highest heart rate that is low", written("heart_rate", "44"), { heartRate: 44, anomaly: "low" }],
  ["the lower alarm limit as normal", written("heart_rate", "45"), { heartRate: 45 }],
  ["the upper alarm limit as normal", written("heart_rate", "180"), { heartRate: 180 }],
  ["the lowest heart rate that is high", written("heart_rate", "181"), { heartRate: 181, anomaly: "high" }],
  ["the maximum heart rate", written("heart_rate", "220"), { heartRate: 220, anomaly: "high" }],
];

for (const [why, json, expected] of READ) {
  Deno.test(`decode() reads ${why}`, () => {
    const reading = { customerId: "c-1", ts: TS, heartRate: 72, anomaly: null, ...expected };
    assert.deepEqual(decode(bytes(json)), { kind: "reading", reading });
    assert.deepEqual(decode(Buffer.from(json)), { kind: "reading", reading });
  });
}

// Some are JSON, some are nearly JSON.
const anyBytes = fc.oneof(
  fc.uint8Array({ maxLength: 200 }),
  fc.json().map(bytes),
  anyText(60).map(bytes),
  fc.tuple(
    fc.constantFrom(...READ).map((row) => row[1]).filter((json) => json.length < 1_000),
    fc.nat(),
    fc.uint8Array({ maxLength: 4 }),
  )
    .map(([json, at, put]) => {
      const whole = bytes(json);
      whole.set(put, at % (whole.length - 4));
      return whole;
    }),
);

Deno.test("decode() returns a reading, or a reject with a storable detail, for any bytes", () => {
  const strict = new TextDecoder("utf-8", { fatal: true });
  fc.assert(
    fc.property(anyBytes, (value) => {
      const decoded = decode(value);
      if (decoded.kind === "reading") return;
      assert(REJECT_REASONS.includes(decoded.reason));
      assertStorable(decoded.detail);
      const invalid = (() => {
        try {
          return strict.decode(value) === undefined;
        } catch {
          return true;
        }
      })();
      assert.equal(decoded.reason === "invalid_utf8", invalid);
    }),
    property("any bytes", 100_000),
  );
});

Deno.test("decode() returns the values of a valid record, exact to the microsecond", () => {
  const past = timestampText().filter((text) => (parseInstant(text) ?? Infinity) <= BigInt(NOW) * 1_000n);
  const customer = anyText(40).filter((text) => text !== "" && text.isWellFormed() && !text.includes("\0"));
  const record = fc.record({
    customer_id: customer,
    timestamp: past,
    heart_rate: fc.integer({ min: 30, max: 220 }),
  });
  fc.assert(
    fc.property(record, ({ customer_id, timestamp, heart_rate }) => {
      const decoded = decode(bytes(JSON.stringify({ customer_id, timestamp, heart_rate })));
      assert(decoded.kind === "reading", decoded.kind === "reject" ? decoded.detail : "");
      const { customerId, ts, heartRate } = decoded.reading;
      const expected = { customerId: customer_id, ts: parseInstant(timestamp), heartRate: heart_rate };
      assert.deepEqual({ customerId, ts, heartRate }, expected);
    }),
    property("round trip", 20_000),
  );
});

Deno.test("decode() stores an integer customer exactly or rejects it", () => {
  const digits = fc.oneof(
    fc.bigInt({ min: -(2n ** 70n), max: 2n ** 70n }),
    fc.bigInt({ min: 2n ** 53n - 9n, max: 2n ** 53n + 9n }),
  );
  fc.assert(
    fc.property(digits, fc.constantFrom("", ".0", "e0", ".000000000000000001"), (value, tail) => {
      const decoded = decode(bytes(written("customer_id", `${value}${tail}`)));
      const exact = tail.endsWith("1") || value > 2n ** 53n - 1n || value < 1n - 2n ** 53n
        ? undefined
        : String(value);
      assert.equal(decoded.kind === "reading" ? decoded.reading.customerId : undefined, exact);
    }),
    property("integer customers", 20_000),
  );
});
