import { waitFor } from "../../stack/process/wait.ts";
import { sleep } from "../../workers/_shared/backoff.ts";
import type { Query } from "./query.ts";

const READ_EVERY_MS = 200;

export class LedgerWatch {
  /** Next offset in the ledger, by partition. */
  next: number[] = [];
  stored = 0;
  rejected = 0;
  duplicates = 0;
  gaps = 0;
  /** Number of offsets that the rollup has not applied. */
  rollupLag = 0;
  /** Stays true after the rebuild ends. */
  sawRebuild = false;
  readonly #query: Query;
  readonly #topic: string;
  readonly #waiters = new Set<{ ends: readonly number[]; reached: () => void }>();

  constructor(query: Query, topic: string) {
    this.#query = query;
    this.#topic = topic;
  }

  /** Resolves when the ledger has reached these end offsets in every partition, which may never happen. */
  whenReached(ends: readonly number[]): Promise<void> {
    return new Promise((reached) => this.#waiters.add({ ends, reached }));
  }

  /** Ignores failed queries, because the database may be unavailable. */
  async run({ signal }: { signal: AbortSignal }): Promise<void> {
    while (!signal.aborted) {
      await this.read().catch(() => {});
      await sleep(READ_EVERY_MS, { signal });
    }
  }

  async read(): Promise<void> {
    const rows = await this.#query<Record<string, string>>(
      `select kafka_partition, max(ledger.next_offset) as next, sum(stored) as stored, sum(rejected) as rejected,
              sum(duplicates) as duplicates, sum(gaps) as gaps,
              sum(ledger.next_offset - coalesce(position.next_offset, first_offset)) as rollup_lag
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
    for (const waiter of [...this.#waiters]) {
      if (!waiter.ends.every((end, partition) => (this.next[partition] ?? 0) >= end)) continue;
      this.#waiters.delete(waiter);
      waiter.reached();
    }
    const rebuilds = await this.#query("select from public.rollup where cursor is not null");
    if (rebuilds.length > 0) this.sawRebuild = true;
  }
}

export const STANDSTILL_MS = 120_000;

export interface StandstillOptions {
  readonly standstillMs: number;
  readonly signal: AbortSignal;
}

/**
 * Waits until `done` settles or `signal` aborts.
 *
 * @returns false as soon as the consumers have committed nothing for `standstillMs`
 */
export async function waitWhileMoving(
  done: Promise<unknown>,
  watch: Pick<LedgerWatch, "next">,
  { standstillMs, signal }: StandstillOptions,
): Promise<boolean> {
  let isDone = false;
  done.then(() => isDone = true, () => isDone = true);
  const total = () => watch.next.reduce((sum, next) => sum + next, 0);
  while (!isDone && !signal.aborted) {
    const totalBefore = total();
    const hasMoved = () => Promise.resolve(isDone || signal.aborted || total() !== totalBefore);
    if (!await waitFor(hasMoved, standstillMs)) return false;
  }
  return true;
}
