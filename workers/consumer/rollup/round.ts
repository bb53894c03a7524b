/** One round: applies the changes behind the positions to minutes and latest readings, in one transaction. */
import type { Database, Row, Session, SessionLimits } from "../../_shared/postgres.ts";
import { SCHEMA_GENERATION } from "../schema/migrate.ts";
import { advancePositions, applyChanges } from "./apply.ts";
import { ORPHANED, readChainPositions, whyBroken, whyOrphaned } from "./chain.ts";
import { KEEP_PARTITIONS, REBUILD_FROM_NEWEST, rebuildMinutes, startRebuild } from "./rebuild.ts";

/** A round may last longer than a batch, since no batch waits for it. A process that froze in a round delays the others. */
export const ROLLUP_LIMITS: SessionLimits = {
  transactionMs: 70_000,
  statementMs: 60_000,
  lockMs: 5_000,
  idleInTransactionMs: 10_000,
};

/** How far the rollup is behind the ledger. */
export interface Lag {
  /** Age of the first change that waits; 0 when none does. */
  readonly seconds: number;
  readonly isRebuilding: boolean;
  /** Whether nothing waits, and no rebuild is due or under way. */
  readonly isNone: boolean;
  /** The start of the last committed round of any consumer, to be compared with another one. */
  readonly round: string;
  readonly sinceRoundSeconds: number;
}

const LAG = `
  select coalesce(max(lag_seconds), 0) as seconds,
         count(cursor) > 0 as "isRebuilding",
         count(cursor) = 0 and coalesce(bool_and(offsets = 0 and lag_seconds = 0), true)
           and not exists (${ORPHANED}) as "isNone",
         max(committed_at)::text as round,
         extract(epoch from now() - max(committed_at))::float8 as "sinceRoundSeconds"
    from public.rollup
    left join public.rollup_lag on true`;

export async function readLag(database: Pick<Database, "query">): Promise<Lag> {
  const [lag] = await database.query<Lag & Row>(LAG);
  if (lag === undefined) throw new TypeError("sums without a row");
  return lag;
}

export type Outcome =
  /** Another session is in a round, or the schema has another generation than this program. */
  | { readonly kind: "busy" }
  /** A rebuild is under way, and this round has no lock on the partitions: nothing was done. */
  | { readonly kind: "rebuild due" }
  | ({ readonly round: string } & Done);

type Done =
  /** `isWhole`: no change was left. */
  | { readonly kind: "applied"; readonly isWhole: boolean }
  /** From now on a rebuild is due. */
  | { readonly kind: "broken"; readonly reason: string }
  | { readonly kind: "minutes rebuilt"; readonly isLast: boolean; readonly ms: number };

export interface Size {
  /** Offsets applied in the round, about, at most. */
  readonly offsets: number;
  /** Rows of a slice, about, which is replaced when a rebuild is under way and all changes fit into the round. */
  readonly sliceRows?: number;
  /** With more bytes of waiting changes, a rebuild is cheaper. */
  readonly bytes?: number;
}

const MOST_BYTES = 10 * 1024 ** 3;

/**
 * The planner knows nothing of arrays: it shall not read whole tables for them. Before PostgreSQL 18 what is switched off
 * counts as very expensive where there is no other way, and that is compiled for 0.3 s each time.
 */
const BEGIN = `
  set transaction isolation level repeatable read;
  set local work_mem = '128MB';
  set local enable_seqscan = off;
  set local enable_hashjoin = off;
  set local enable_mergejoin = off;
  set local jit = off`;

/**
 * Locks the row before anything else is read, so that the snapshot has the positions of the previous round. The table of the
 * changes never shrinks, so its size alone does not show how much waits.
 */
const ROLLUP_ROW = `
  select cursor::text,
         (select least(pg_total_relation_size(oid),
                       2000 * (pg_stat_get_live_tuples(oid) + pg_stat_get_live_tuples(reltoastrelid)))::float8
            from pg_class
           where oid = 'public.ingest_changes'::regclass) as bytes
    from public.rollup
   where public.schema_generation() = ${SCHEMA_GENERATION}
     for update of rollup skip locked`;

export function runRound(database: Database, size: Size): Promise<Outcome> {
  const keep = size.sliceRows ? `${KEEP_PARTITIONS};` : "";
  return database.transaction<Outcome>(async (session, [row]) => {
    if (row === undefined) return { kind: "busy" };
    const { cursor, bytes } = row as { cursor: string | null; bytes: number };
    if (cursor !== null && !size.sliceRows) return { kind: "rebuild due" };
    const isTooMuch = cursor === null && bytes > (size.bytes ?? MOST_BYTES);
    const [done, next] = isTooMuch ? tooMuch(bytes) : await work(session, cursor, size);
    const { rows: [at] } = await session.query<{ round: string }>(
      "update public.rollup set cursor = $1, committed_at = now() returning committed_at::text as round",
      [next],
    );
    return { ...done, round: at?.round ?? "" };
  }, `${BEGIN}; ${keep} ${ROLLUP_ROW}`);
}

type Step = readonly [done: Done, cursor: string | null];

function broken(reason: string): Step {
  return [{ kind: "broken", reason }, REBUILD_FROM_NEWEST];
}

function tooMuch(bytes: number): Step {
  return broken(`changes of ${(bytes / 1024 ** 3).toFixed(1)} GB wait, more than it costs to read the rows`);
}

async function work(session: Session, cursor: string | null, size: Size): Promise<Step> {
  if (cursor === REBUILD_FROM_NEWEST) await startRebuild(session);
  const standings = await readChainPositions(session, size.offsets);
  const reason = standings.map(whyBroken).find((why) => why !== undefined) ?? await whyOrphaned(session);
  if (reason !== undefined) return broken(reason);
  if (standings.length > 0) {
    // A rebuild counts the minutes before its cursor from the rows.
    await applyChanges(session, standings, cursor ?? "-infinity");
    await advancePositions(session, standings);
  }
  // Only if no change of the snapshot is left, a slice from its rows agrees with the minutes after it.
  const isWhole = standings.every(({ moves, lastMove }) => moves === lastMove);
  if (cursor === null || !isWhole) return [{ kind: "applied", isWhole }, cursor];
  const began = performance.now();
  const next = await rebuildMinutes(session, cursor, size.sliceRows ?? 0);
  return [{ kind: "minutes rebuilt", isLast: next === null, ms: performance.now() - began }, next];
}
