import { Buffer } from "node:buffer";

/** A record that has broken other software, and its expected outcome. */
export interface TortureCase {
  readonly name: string;
  readonly value: Uint8Array;
  readonly key?: Uint8Array;
  readonly expected: { readonly customerId: string } | { readonly reject: string };
}

const FIRST_MS = Date.UTC(2026, 5, 1);
export const HEART_RATE = 72;

/** Returns a different second for each case, so that no two cases are the same reading. */
export function instantOf(nth: number): string {
  return new Date(FIRST_MS + nth * 1000).toISOString();
}

/** A valid record, apart from the JSON source of the customer and of an extra member. */
export function record(
  customerSource: string | Uint8Array,
  nth: number,
  extraSource?: string | Uint8Array,
): Uint8Array {
  return Buffer.concat([
    Buffer.from('{"customer_id":'),
    Buffer.from(customerSource),
    Buffer.from(`,"timestamp":"${instantOf(nth)}","heart_rate":${HEART_RATE}`),
    ...(extraSource === undefined ? [] : [Buffer.from(',"x":'), Buffer.from(extraSource)]),
    Buffer.from("}"),
  ]);
}
