/** The rows of a recording that were skipped: the first few are shown, all are counted by reason. */
import type { BadRow } from "./recording/row.ts";

const SHOWN = 5;

export class SkippedRows {
  rows = 0;
  first: BadRow | undefined;
  readonly byReason = new Map<BadRow["reason"], number>();
  readonly #show: (bad: BadRow) => void;

  /** @param show called for the first five */
  constructor(show: (bad: BadRow) => void = () => {}) {
    this.#show = show;
  }

  add(bad: BadRow): void {
    this.first ??= bad;
    this.byReason.set(bad.reason, (this.byReason.get(bad.reason) ?? 0) + 1);
    if (this.rows++ < SHOWN) this.#show(bad);
  }
}
