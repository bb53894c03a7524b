import assert from "node:assert/strict";
import fc from "fast-check";
import { isWhole, mayLosePrecision, numberSource } from "../../../../workers/_shared/record/json_number.ts";
import { property } from "../../../support/property.ts";

const bytes = (text: string) => new TextEncoder().encode(text);

Deno.test("mayLosePrecision() finds a number of 16 digits at any position", () => {
  for (let before = 0; before < 40; before++) {
    for (let after = 0; after < 20; after++) {
      const around = (digits: string) => bytes(" ".repeat(before) + digits + " ".repeat(after));
      assert.equal(mayLosePrecision(around("1234567890.12345")), true, `${before} before, ${after} after`);
      assert.equal(mayLosePrecision(around("1234567890.1234")), false, `${before} before, ${after} after`);
    }
  }
});

Deno.test("mayLosePrecision() returns false for a usual record", () => {
  const usual = { customer_id: "customer-0042", timestamp: "2026-07-14T09:30:00.123456789Z", heart_rate: 72 };
  assert.equal(mayLosePrecision(bytes(JSON.stringify(usual))), false);
});

Deno.test("numberSource() returns the number text of the last member with the given name in the outermost object", () => {
  const cases: readonly (readonly [json: string, expected: string | undefined])[] = [
    [`{"n":1.50}`, "1.50"],
    [`{"n":-0}`, "-0"],
    [` { "n" \n:\t 1E+2 } `, "1E+2"],
    [`{"n":1,"n":2}`, "2"],
    [`{"n":1,"n":"2"}`, undefined],
    [`{"n":"1","n":2}`, "2"],
    [`{"x":{"n":1},"y":[{"n":2}],"n":3}`, "3"],
    [`{"n":3,"x":{"n":1},"y":[{"n":2}]}`, "3"],
    [`{"x":{"n":1}}`, undefined],
    [`{"x":"n","y":4}`, undefined],
    [String.raw`{"x\"n":1,"x\\":"\"n\":2","n":3}`, "3"],
    [String.raw`{"\u006e":5}`, "5"],
    [`{"n":{"n":1}}`, undefined],
    [`{"x":"}","n":6}`, "6"],
    [`{}`, undefined],
  ];
  for (const [json, expected] of cases) {
    JSON.parse(json);
    assert.equal(numberSource(json, "n"), expected, json);
  }
});

Deno.test("numberSource() reads past 100,000 nested arrays", () => {
  const deep = "[".repeat(100_000) + "]".repeat(100_000);
  assert.equal(numberSource(`{"x":${deep},"n":7}`, "n"), "7");
});

const number = fc.tuple(
  fc.constantFrom("", "-"),
  fc.oneof(fc.constantFrom("0", "72", "9007199254740991"), fc.stringMatching(/^(0|[1-9][0-9]{0,19})$/)),
  fc.oneof(fc.constant(""), fc.stringMatching(/^\.[0-9]{1,20}$/), fc.stringMatching(/^\.0{1,20}[1-9]?$/)),
  fc.oneof(fc.constant(""), fc.stringMatching(/^[eE][+-]?[0-9]{1,2}$/)),
);

Deno.test("isWhole() agrees with exact arithmetic", () => {
  fc.assert(
    fc.property(number, ([sign, whole, fraction, exponent]) => {
      const source = sign + whole + fraction + exponent;
      const shift = Number(exponent.slice(1)) - Math.max(fraction.length - 1, 0);
      const digits = BigInt(whole + fraction.slice(1));
      assert.equal(isWhole(source), shift >= 0 || digits % 10n ** BigInt(-shift) === 0n, source);
    }),
    property("isWhole", 50_000),
  );
  for (const tiny of ["1e-400", "-1e-400", "1e-99999999999999999999"]) {
    assert.equal(isWhole(tiny), false, tiny);
  }
  for (const huge of ["1e400", "0e-400", "-0.0"]) assert.equal(isWhole(huge), true, huge);
});

Deno.test("mayLosePrecision() returns true for each fraction that JSON.parse rounds to a whole number other than 0", () => {
  fc.assert(
    fc.property(number, (parts) => {
      const source = parts.join("");
      const value: unknown = JSON.parse(source);
      const rounded = Number.isSafeInteger(value) && !isWhole(source);
      assert(!rounded || value === 0 || mayLosePrecision(bytes(source)), source);
    }),
    property("mayLosePrecision", 50_000),
  );
});
