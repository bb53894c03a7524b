/** Where the rollup stands in the chain of changes of each ledger row, what a round takes, and whether the chain holds. */
import type { Row, Session } from "../../_shared/postgres.ts";
import type { Offset } from "../../_shared/kafka/records.ts";

export interface ChainPosition {
  readonly ledgerId: number;
  /** The rollup's position. */
  readonly move: number;
  readonly offset: Offset;
  /** Where the ledger stands. */
  readonly moves: number;
  readonly ledgerOffset: Offset;
  /** The last change that fits into the round; null when none lies behind the position. */
  readonly lastMove: number | null;
  readonly lastOffset: Offset | null;
  /** Whether each change that fits continues the one before, and the first one the position. */
  readonly continues: boolean | null;
}

/**
 * $1 and $2: maximum of offsets and of changes, divided among the chains with waiting changes; at least one change of each.
 */
const PICK_CHANGES = `
  select ledger_id::float8 as "ledgerId", move::float8, at::float8 as offset, moves::float8,
         ledger_offset::float8 as "ledgerOffset", last_move::float8 as "lastMove", last_offset::float8 as "lastOffset",
         continues
    from (select standing.*, count(*) filter (where (moves, ledger_offset) is distinct from (move, at)) over () as chains
            from (select ledger.id as ledger_id, ledger.moves, ledger.next_offset as ledger_offset,
                         coalesce(position.move, 0) as move, coalesce(position.next_offset, ledger.first_offset) as at
                    from public.ingest_offsets ledger
                    left join public.rollup_positions position on position.ledger_id = ledger.id) standing
         ) standing
   cross join lateral (
     select max(move) as last_move, max(next_offset) as last_offset, bool_and(continues) as continues
       from (select change.move, change.next_offset,
                    row_number() over chain as number,
                    sum(change.next_offset - change.from_offset) over chain as offsets,
                    change.move = lag(change.move, 1, standing.move) over chain + 1
                      and change.from_offset = lag(change.next_offset, 1, standing.at) over chain as continues
               from (select move, from_offset, next_offset
                       from public.ingest_changes
                      where ledger_id = standing.ledger_id
                        and move > standing.move
                      order by move
                      limit greatest(1, $2 / chains)) change
             window chain as (order by change.move)) change
      where number = 1 or offsets <= $1 / chains) picked
   where (moves, ledger_offset) is distinct from (move, at)`;

/** Limits a round of many small changes. */
const MOST_CHANGES = 20_000;

/** The chains with waiting changes, and broken ones. @param offsets about, at most */
export async function readChainPositions(session: Session, offsets: number): Promise<ChainPosition[]> {
  const values = [Math.ceil(offsets), MOST_CHANGES];
  return (await session.query<ChainPosition & Row>({ name: "rollup_pick", text: PICK_CHANGES, values })).rows;
}

/** For each ledger row, the keys of changes from `moves` of `id` to `next`, both excluded: there shall be none. */
export const BETWEEN_CHAINS = `
  (select id, moves, lead(id, 1, 9223372036854775807) over (order by id) as next
     from (select id, moves from public.ingest_offsets union all select 0, 0) ledger) between_chains`;

/** Changes and positions that the ledger does not lead to: of a row that is gone, or that was restored as it was before. */
export const ORPHANED = `
  select change.ledger_id, change.move
    from ${BETWEEN_CHAINS}
   cross join lateral (
     select ledger_id, move
       from public.ingest_changes
      where (ledger_id, move) > (id, moves) and ledger_id < next
      order by ledger_id, move
      limit 1) change
   union all
  select ledger_id, move
    from public.rollup_positions
   where not exists (select from public.ingest_offsets where id = ledger_id)`;

/** Why a rebuild is due, whatever the chains say. */
export async function whyOrphaned(session: Session): Promise<string | undefined> {
  const { rows: [stray] } = await session.query<{ ledger_id: string; move: string }>(`${ORPHANED} limit 1`);
  return stray && `the ledger does not lead to move ${stray.move} of ledger row ${stray.ledger_id}`;
}

/** Why minutes and latest readings cannot follow this chain any more; undefined while they can. */
export function whyBroken(standing: ChainPosition): string | undefined {
  const { ledgerId, move, offset, moves, ledgerOffset, lastMove, lastOffset, continues } = standing;
  const at = `at move ${move} and offset ${offset}`;
  const stands = `ledger row ${ledgerId} stands at move ${moves} and offset ${ledgerOffset}`;
  if (move > moves || offset > ledgerOffset) return `${stands}, and the rollup is ahead of it ${at}`;
  if (lastMove === null || lastOffset === null) {
    return `${stands}, and no change leads there from the rollup ${at}`;
  }
  if (!continues) {
    return `the changes of ledger row ${ledgerId} do not continue where the rollup stands, ${at}`;
  }
  const isBehind = lastMove < moves && lastOffset <= ledgerOffset;
  if (isBehind || (lastMove === moves && lastOffset === ledgerOffset)) return undefined;
  return `${stands}, and its changes lead to move ${lastMove} and offset ${lastOffset}`;
}
