import assert from "node:assert/strict";

/** A detail goes into a PostgreSQL text, log lines and terminals. */
export function assertStorable(detail: string): void {
  assert(detail.isWellFormed(), "unpaired surrogates");
  assert.doesNotMatch(detail, /[\p{Cc}\p{Zl}\p{Zp}\p{Cf}]/u);
  assert(detail.length <= 1_500, `${detail.length} characters`);
}
