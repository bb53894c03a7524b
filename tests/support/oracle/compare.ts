import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import type { Limits } from "../../../workers/_shared/record/heartbeat.ts";
import type { Decoded } from "../../../workers/_shared/record/decode.ts";
import { assertStorable } from "../storable.ts";
import { verdictOf } from "./verdict.ts";

const SHOWN_BYTES = 400;

/**
 * Compares a decoder with the oracle for one record.
 *
 * @param decode a decoder for the same limits and clock
 * @throws AssertionError that shows the record and both results
 */
export function assertAgrees(
  decode: (value: Uint8Array | null) => Decoded,
  value: Uint8Array | null,
  limits: Limits,
  nowMs: number,
): void {
  const expected = verdictOf(value, limits, nowMs);
  const decoded = decode(value);
  const about = () =>
    `\n${show(value)}\ndecoded: ${Deno.inspect(decoded)}\nverdict: ${Deno.inspect(expected)}`;
  if (expected.kind === "reading") {
    assert.equal(decoded.kind, "reading", `a valid record is rejected${about()}`);
    const { kind: _, ...reading } = expected;
    assert.deepEqual(decoded.kind === "reading" && decoded.reading, reading, `the reading differs${about()}`);
    return;
  }
  assert(decoded.kind === "reject", `an invalid record is accepted${about()}`);
  assert.equal(decoded.reason, expected.reason, `the reason differs${about()}`);
  assert(
    decoded.detail.startsWith(`${expected.about[0]}: is`),
    `the detail begins with another field${about()}`,
  );
  for (const field of expected.about) {
    assert(decoded.detail.includes(`${field}: is`), `the detail does not name ${field}${about()}`);
  }
  assertStorable(decoded.detail);
}

export function show(value: Uint8Array | null): string {
  if (value === null) return "null";
  const { buffer, byteOffset, length } = value;
  const bytes = Buffer.from(buffer, byteOffset, Math.min(length, SHOWN_BYTES));
  return `${length} bytes ${JSON.stringify(bytes.toString())} 0x${bytes.toString("hex")}`;
}
