import { deepStrictEqual, ok, strictEqual } from "node:assert";
import { Buffer } from "node:buffer";
import fc from "fast-check";
import { Customers } from "../../../../workers/consumer/store/customers.ts";
import { collidingIds, fnv1a } from "../../../support/colliding_ids.ts";
import { property } from "../../../support/property.ts";

function numbersOf(customers: Customers, ids: readonly string[]): number[] {
  return ids.map((id) => customers.number(Buffer.from(id), 0, id.length));
}

Deno.test("Customers distinguishes two ids of the same length and hash", () => {
  const ids = collidingIds(2);
  strictEqual(new Set(ids.map((id) => fnv1a(id))).size, 1);
  const customers = new Customers(4);
  deepStrictEqual(numbersOf(customers, [...ids, ...ids]), [0, 1, 0, 1]);
  deepStrictEqual([customers.text(0), customers.text(1)], ids);
});

Deno.test("Customers gives each id its own number, and the same number again, even if many ids have the same hash", () => {
  // V8 hashes a string of digits as a number and without its random seed.
  const ids = [...collidingIds(1_000), ...Array.from({ length: 1_000 }, (_, index) => String(index))];
  const customers = new Customers(ids.length);
  const expected = ids.map((_, index) => index);
  deepStrictEqual(numbersOf(customers, ids), expected);
  deepStrictEqual(numbersOf(customers, ids), expected);
  deepStrictEqual(ids.map((_, index) => customers.text(index)), ids);
});

/**
 * Gets the number of each id twice.
 *
 * @returns how many bytes of ids were read
 * @throws if they are more than `maxBytes`
 */
function countReadBytes(ids: readonly string[], maxBytes: number): number {
  let read = 0;
  const customers = new Customers(ids.length);
  for (const id of [...ids, ...ids]) {
    // Counts each byte that is read by index. Methods must run on the real array.
    const source = new Proxy(new Uint8Array(Buffer.from(id)), {
      get: (bytes, name) => {
        if (typeof name === "string" && /^\d+$/.test(name)) read++;
        const value = Reflect.get(bytes, name, bytes);
        return typeof value === "function" ? value.bind(bytes) : value;
      },
    });
    customers.number(source, 0, id.length);
    ok(
      read <= maxBytes,
      `the first ${customers.count} of ${ids.length} ids took more than ${maxBytes} bytes`,
    );
  }
  strictEqual(customers.count, ids.length);
  return read;
}

Deno.test("Customers reads at most ten times as many bytes for 5,000 ids with the same hash as for ordinary ids", () => {
  const colliding = collidingIds(5_000);
  const length = colliding[0]?.length ?? 0;
  const ordinary = colliding.map((_, index) => `customer-${index}`.padEnd(length, "x"));
  countReadBytes(colliding, 10 * countReadBytes(ordinary, Infinity));
});

Deno.test("Customers.ranks() orders ids by their bytes, even if they have long common prefixes", () => {
  const part = fc.constantFrom(
    "",
    "a",
    "customer-",
    "x".repeat(40),
    "\u{1f493}",
    "\uff5a",
    "é",
    "0",
    "00001",
  );
  const id = fc.array(part, { minLength: 1, maxLength: 6 }).map((parts) => parts.join("") || "a");
  fc.assert(
    fc.property(fc.uniqueArray(id, { minLength: 1, maxLength: 300 }), (ids) => {
      const customers = new Customers(ids.length);
      for (const bytes of ids.map((text) => Buffer.from(text))) customers.number(bytes, 0, bytes.length);
      const ranks = customers.ranks();
      const ordered = ids.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
      deepStrictEqual(ids.map((text) => ordered.indexOf(text)), [...ranks]);
    }),
    property("orders of customers", 300),
  );
});
