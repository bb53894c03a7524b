/** One round: what the changes behind the positions say becomes minutes and latest readings, in one transaction. */
import type { Database, Session, SessionLimits } from "../../_shared/postgres.ts";
import { GENERATION } from "../schema/migrate.ts";
import { advancePositions, applyChanges } from "./apply.ts";
import { type Advance, readStandings, whyBroken } from "./chain.ts";

/**
 * A round may last longer than a batch, and holds up no batch. A process that is frozen in a round holds up the others'
 * rounds for the time that a session may be idle.
 */
export const ROLLUP_LIMITS: SessionLimits = {
  transactionMs: 70_000,
  statementMs: 60_000,
  lockMs: 5_000,
  idleInTransactionMs: 10_000,
};

export type Outcome =
  /** Another session is in a round, or this program is no longer of the schema's generation. */
  | { readonly kind: "busy" }
  | { readonly kind: "applied"; readonly offsets: number }
  | { readonly kind: "broken"; readonly reason: string };

/**
 * The row is locked by a statement of its own before anything else is read: a snapshot that is taken behind another round
 * has its positions.
 */
const FOLLOWER = `set transaction isolation level repeatable read;
  select cursor::text
    from public.rollup
   where public.schema_generation() = ${GENERATION}
     for update skip locked`;

/** @param offsets that are applied, about, at most */
export function runRound(database: Database, offsets: number): Promise<Outcome> {
  return database.transaction<Outcome>(async (session, [follower]) => {
    if (follower === undefined) return { kind: "busy" };
    return await applyNext(session, offsets);
  }, FOLLOWER);
}

async function applyNext(session: Session, offsets: number): Promise<Outcome> {
  const standings = await readStandings(session, offsets);
  for (const standing of standings) {
    const reason = whyBroken(standing);
    if (reason !== undefined) return { kind: "broken", reason };
  }
  const advances = standings.flatMap(({ ledgerId, position: after, upTo }): Advance[] =>
    upTo === undefined ? [] : [{ ledgerId, after, upTo }]
  );
  if (advances.length > 0) {
    await applyChanges(session, advances, "-infinity");
    await advancePositions(session, advances);
  }
  return {
    kind: "applied",
    offsets: advances.reduce((sum, { after, upTo }) => sum + upTo.nextOffset - after.nextOffset, 0),
  };
}

/** How far the rollup is behind the ledger. */
export interface Lag {
  readonly offsets: number;
  /** Age of the first change that waits. */
  readonly seconds: number;
  /** Since the last round was committed, by any consumer. */
  readonly sinceRoundSeconds: number;
  /** Whether nothing waits, and no rebuild is due or under way. */
  readonly isNone: boolean;
}

export async function readLag(database: Database): Promise<Lag> {
  const [row] = await database.query<{ offsets: number; seconds: number; since: number; none: boolean }>(
    `select coalesce(sum(abs(offsets)), 0)::float8 as offsets, coalesce(max(lag_seconds), 0) as seconds,
            extract(epoch from now() - max(rollup.committed_at))::float8 as since,
            coalesce(bool_and(offsets = 0 and lag_seconds = 0), true) and count(rollup.cursor) = 0 as none
       from public.rollup
       left join public.rollup_lag on true`,
  );
  if (row === undefined) throw new TypeError("a count gave no row");
  return { offsets: row.offsets, seconds: row.seconds, sinceRoundSeconds: row.since, isNone: row.none };
}
