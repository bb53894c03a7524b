import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { murmur2 as clientMurmur2 } from "@platformatic/kafka";
import fc from "fast-check";
import { murmur2, partitionOf } from "../../../../workers/_shared/kafka/partitioner.ts";

Deno.test("murmur2() returns the same hash as the client's for any key", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 40 }), (key) => {
    assert.equal(murmur2(key), clientMurmur2(Buffer.from(key)));
  }));
});

Deno.test("partitionOf() chooses the same partition as Kafka's Java client", () => {
  // The keys and hashes are those of UtilsTest.testMurmur2 in Apache Kafka.
  const known = { "21": -973932308, "foobar": -790332482, "a-little-bit-long-string": -985981536 };
  for (const [key, hash] of Object.entries(known)) {
    assert.equal(murmur2(Buffer.from(key)), hash);
    assert.equal(partitionOf(Buffer.from(key), 6), (hash & 0x7fffffff) % 6);
  }
});
