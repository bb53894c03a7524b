/** One record that has been somebody's bug, and what must become of it. */
import { Buffer } from "node:buffer";

export interface TortureCase {
  readonly name: string;
  readonly value: Uint8Array;
  readonly key?: Uint8Array;
  /** The customer of the row that it becomes, or the reason of its reject. */
  readonly expected: { readonly customerId: string } | { readonly reject: string };
}

const FIRST_MS = Date.UTC(2026, 5, 1);
/** Of every good case. */
export const HEART_RATE = 72;

/** Each case has a second of its own, so that no two are the same reading. */
export function instantOf(nth: number): string {
  return new Date(FIRST_MS + nth * 1000).toISOString();
}

/** A good record but for the source of its customer, and of one member more. */
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
