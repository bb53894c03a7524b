import assert from "node:assert/strict";

/** Asserts that PostgreSQL, log lines and terminals can take the detail of a reject. */
export function assertStorable(detail: string): void {
  assert(detail.isWellFormed(), "unpaired surrogates");
  assert.doesNotMatch(detail, /[\p{Cc}\p{Zl}\p{Zp}\p{Cf}]/u);
  assert(detail.length <= 1_500, `${detail.length} characters`);
}
