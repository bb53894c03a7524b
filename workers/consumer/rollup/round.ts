/** A round is one transaction that applies change rows, or does one step of a rebuild, and moves the positions of the rollup. */
import type { Database, Row, Session, SessionLimits } from "../../_shared/postgres.ts";
import { SCHEMA_GENERATION } from "../schema/migrate.ts";
import { advancePositions, applyChanges } from "./apply.ts";
import { ORPHANED, readChainPositions, whyBroken, whyOrphaned } from "./chain.ts";
import { KEEP_PARTITIONS, REBUILD_FROM_NEWEST, rebuildMinutes, startRebuild } from "./rebuild.ts";

/** Longer than those of the ingest, because no batch waits for a round. */
export const ROLLUP_LIMITS: SessionLimits = {
  transactionMs: 70_000,
  statementMs: 60_000,
  lockMs: 5_000,
  idleInTransactionMs: 10_000,
};

export interface Lag {
  /** The age of the first change row that is not applied, or 0. */
  readonly seconds: number;
  readonly isRebuilding: boolean;
  /** No change row waits, and no rebuild is needed. */
  readonly isNone: boolean;
  /** Identifies the last round of any consumer. */
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
  /** Another consumer is in a round, or the schema has another generation than this program. */
  | { readonly kind: "busy" }
  /** Nothing was done, because a rebuild is due and `rebuildRows` is missing. */
  | { readonly kind: "rebuild due" }
  | ({ readonly round: string } & Done);

type Done =
  | { readonly kind: "applied"; readonly appliedAll: boolean }
  | { readonly kind: "broken"; readonly reason: string }
  | { readonly kind: "minutes rebuilt"; readonly isLast: boolean; readonly ms: number };

export interface Size {
  readonly offsets: number;
  /** Number of readings that a step of a rebuild counts. */
  readonly rebuildRows?: number;
  /** Replaces MAX_CHANGE_BYTES in tests. */
  readonly bytes?: number;
}

/** If more bytes of change rows wait, a rebuild costs less. */
const MAX_CHANGE_BYTES = 10 * 1024 ** 3;

/**
 * The planner knows nothing of the contents of arrays: without these settings it would read whole tables. `jit = off`: before
 * PostgreSQL 18, a plan that has to use a disabled method counts as very expensive, and would be compiled for 0.3 s each time.
 */
const BEGIN = `
  set transaction isolation level repeatable read;
  set local work_mem = '128MB';
  set local enable_seqscan = off;
  set local enable_hashjoin = off;
  set local enable_mergejoin = off;
  set local jit = off`;

/**
 * Locks the row before anything else is read, so that the snapshot has the positions of the previous round. The table of change
 * rows never shrinks, so its size alone does not show how much waits: each live row has at most about 2,000 bytes, the TOAST limit.
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
  const keep = size.rebuildRows ? `${KEEP_PARTITIONS};` : "";
  return database.transaction<Outcome>(async (session, [row]) => {
    if (row === undefined) return { kind: "busy" };
    const { cursor, bytes } = row as { cursor: string | null; bytes: number };
    if (cursor !== null && !size.rebuildRows) return { kind: "rebuild due" };
    const [done, next] = cursor === null && bytes > (size.bytes ?? MAX_CHANGE_BYTES)
      ? broken(`changes of ${(bytes / 1024 ** 3).toFixed(1)} GB wait: a rebuild costs less`)
      : await work(session, cursor, size);
    const { rows: [updated] } = await session.query<{ round: string }>(
      "update public.rollup set cursor = $1, committed_at = now() returning committed_at::text as round",
      [next],
    );
    return { ...done, round: updated?.round ?? "" };
  }, `${BEGIN}; ${keep} ${ROLLUP_ROW}`);
}

type Step = readonly [done: Done, cursor: string | null];

function broken(reason: string): Step {
  return [{ kind: "broken", reason }, REBUILD_FROM_NEWEST];
}

async function work(session: Session, cursor: string | null, size: Size): Promise<Step> {
  if (cursor === REBUILD_FROM_NEWEST) await startRebuild(session);
  const chains = await readChainPositions(session, size.offsets);
  const reason = chains.map(whyBroken).find((why) => why !== undefined) ?? await whyOrphaned(session);
  if (reason !== undefined) return broken(reason);
  if (chains.length > 0) {
    // Below the cursor, the rebuild will count the minutes from the readings.
    await applyChanges(session, chains, cursor ?? "-infinity");
    await advancePositions(session, chains);
  }
  // Minutes that are already rebuilt agree with this snapshot only if no change row is left.
  const appliedAll = chains.every(({ moves, lastMove }) => moves === lastMove);
  if (cursor === null || !appliedAll) return [{ kind: "applied", appliedAll }, cursor];
  const began = performance.now();
  const next = await rebuildMinutes(session, cursor, size.rebuildRows ?? 0);
  return [{ kind: "minutes rebuilt", isLast: next === null, ms: performance.now() - began }, next];
}
