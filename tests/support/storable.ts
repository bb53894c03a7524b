import assert from "node:assert/strict";

/** Asserts that the detail of a reject is harmless in PostgreSQL, in log lines and on terminals. */
export function assertStorable(detail: string): void {
  assert(detail.isWellFormed(), "unpaired surrogates");
  assert.doesNotMatch(detail, /[\p{Cc}\p{Zl}\p{Zp}\p{Cf}]/u);
  assert(detail.length <= 1_500, `${detail.length} characters`);
}
