/** Ids of a batch are told apart whatever their hash is, and ids chosen to collide cost about what others cost. */
import { deepStrictEqual, ok, strictEqual } from "node:assert";
import { Buffer } from "node:buffer";
import fc from "fast-check";
import { Customers } from "../../../../workers/consumer/store/customers.ts";
import { collidingIds, fnv1a } from "../../../support/colliding_ids.ts";
import { property } from "../../../support/property.ts";

function numbersOf(customers: Customers, ids: readonly string[]): number[] {
  return ids.map((id) => customers.number(Buffer.from(id), 0, id.length));
}

Deno.test("two customers whose ids have the same length and hash are two customers", () => {
  const ids = collidingIds(2);
  strictEqual(new Set(ids.map((id) => fnv1a(id))).size, 1);
  const customers = new Customers(4);
  deepStrictEqual(numbersOf(customers, [...ids, ...ids]), [0, 1, 0, 1]);
  deepStrictEqual([customers.text(0), customers.text(1)], ids);
});

Deno.test("each of many customers keeps its number although all their ids have one hash, digits or not", () => {
  // V8 hashes a text of digits as a number, without its seed.
  const ids = [...collidingIds(1_000), ...Array.from({ length: 1_000 }, (_, index) => String(index))];
  const customers = new Customers(ids.length);
  const expected = ids.map((_, index) => index);
  deepStrictEqual(numbersOf(customers, ids), expected);
  deepStrictEqual(numbersOf(customers, ids), expected);
  deepStrictEqual(ids.map((_, index) => customers.text(index)), ids);
});

/** How many bytes of ids are looked at while each of them gets its number twice. @throws when it is more than `most` */
function bytesRead(ids: readonly string[], most: number): number {
  let read = 0;
  const customers = new Customers(ids.length);
  for (const id of [...ids, ...ids]) {
    const source = new Proxy(new Uint8Array(Buffer.from(id)), {
      get: (bytes, name) => {
        if (typeof name === "string" && /^\d+$/.test(name)) read++;
        const value = Reflect.get(bytes, name, bytes);
        return typeof value === "function" ? value.bind(bytes) : value;
      },
    });
    customers.number(source, 0, id.length);
    ok(read <= most, `more than ${most} bytes were read for ${customers.count} of ${ids.length} ids`);
  }
  strictEqual(customers.count, ids.length);
  return read;
}

Deno.test("5,000 ids with one hash cost a small multiple of the bytes that ordinary ids cost", () => {
  const colliding = collidingIds(5_000);
  const length = colliding[0]?.length ?? 0;
  const ordinary = colliding.map((_, index) => `customer-${index}`.padEnd(length, "x"));
  bytesRead(colliding, 10 * bytesRead(ordinary, Infinity));
});

Deno.test("customers are ordered by their bytes, however much of their ids is the same", () => {
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
      for (const one of ids.map((text) => Buffer.from(text))) customers.number(one, 0, one.length);
      const ranks = customers.ranks();
      const ordered = ids.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
      deepStrictEqual(ids.map((text) => ordered.indexOf(text)), [...ranks]);
    }),
    property("orders of customers", 300),
  );
});
