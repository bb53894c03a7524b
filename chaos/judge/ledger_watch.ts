import { waitFor } from "../../stack/process/wait.ts";
import { sleep } from "../../workers/_shared/backoff.ts";
import type { Query } from "./query.ts";

const LOOK_EVERY_MS = 200;

export class LedgerWatch {
  /** By partition. */
  next: number[] = [];
  stored = 0;
  rejected = 0;
  duplicates = 0;
  gaps = 0;
  /** Offsets that the rollup has not applied. */
  rollupLag = 0;
  /** Stays true after the rebuild. */
  sawRebuild = false;
  readonly #query: Query;
  readonly #topic: string;
  readonly #waiting = new Set<{ ends: readonly number[]; reached: () => void }>();

  constructor(query: Query, topic: string) {
    this.#query = query;
    this.#topic = topic;
  }

  /** @param ends by partition @returns resolves when `next` is at least `ends` in every partition, possibly never */
  whenReached(ends: readonly number[]): Promise<void> {
    return new Promise((reached) => this.#waiting.add({ ends, reached }));
  }

  /** Ignores failed queries: the database may be away. */
  async run({ signal }: { signal: AbortSignal }): Promise<void> {
    while (!signal.aborted) {
      await this.look().catch(() => {});
      await sleep(LOOK_EVERY_MS, { signal });
    }
  }

  async look(): Promise<void> {
    const rows = await this.#query<Record<string, string>>(
      `select kafka_partition, max(ledger.next_offset) as next, sum(stored) as stored, sum(rejected) as rejected,
              sum(duplicates) as duplicates, sum(gaps) as gaps,
              sum(ledger.next_offset - coalesce(position.next_offset, first_offset)) as rollup_lag,
              (select count(cursor) from public.rollup) as rebuilding
         from public.ingest_offsets ledger
         left join public.rollup_positions position on position.ledger_id = ledger.id
        where topic = $1
        group by kafka_partition`,
      [this.#topic],
    );
    for (const row of rows) this.next[Number(row["kafka_partition"])] = Number(row["next"]);
    const sum = (name: string) => rows.reduce((total, row) => total + Number(row[name]), 0);
    this.stored = sum("stored");
    this.rejected = sum("rejected");
    this.duplicates = sum("duplicates");
    this.gaps = sum("gaps");
    this.rollupLag = sum("rollup_lag");
    if (sum("rebuilding") > 0) this.sawRebuild = true;
    for (const one of [...this.#waiting]) {
      if (!one.ends.every((end, partition) => (this.next[partition] ?? 0) >= end)) continue;
      this.#waiting.delete(one);
      one.reached();
    }
  }
}

export const STANDSTILL_MS = 120_000;

export interface StandstillOptions {
  readonly standstillMs: number;
  readonly signal: AbortSignal;
}

/** @returns false if nothing was committed for `standstillMs` before `fact` settled or `signal` aborted */
export async function waitWhileMoving(
  fact: Promise<unknown>,
  watch: Pick<LedgerWatch, "next">,
  { standstillMs, signal }: StandstillOptions,
): Promise<boolean> {
  let there = false;
  fact.then(() => there = true, () => there = true);
  const at = () => watch.next.reduce((sum, next) => sum + next, 0);
  while (!there && !signal.aborted) {
    const seen = at();
    const moved = () => Promise.resolve(there || signal.aborted || at() !== seen);
    if (!await waitFor(moved, standstillMs)) return false;
  }
  return true;
}
