/** The change rows of a ledger row form a chain. The rollup follows each chain from its own position. */
import type { Row, Session } from "../../_shared/postgres.ts";
import type { Offset } from "../../_shared/kafka/records.ts";

export interface ChainPosition {
  readonly ledgerId: number;
  /** The position of the rollup: the last move that it applied, and the offset after it. */
  readonly move: number;
  readonly offset: Offset;
  /** The position of the ledger row: its last move, and the offset after it. */
  readonly moves: number;
  readonly ledgerOffset: Offset;
  /** The last change row that fits into the round; null if no change row follows the position of the rollup. */
  readonly lastMove: number | null;
  readonly lastOffset: Offset | null;
  /** Whether the change rows that fit follow the position of the rollup without a hole. */
  readonly continues: boolean | null;
}

/** Divides $1 offsets and $2 change rows among the chains that have new change rows. Each of them gets at least one change row. */
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
const MAX_CHANGES = 20_000;

/** Reads the chains whose ledger row is not at the position of the rollup. */
export async function readChainPositions(session: Session, offsets: number): Promise<ChainPosition[]> {
  const values = [Math.ceil(offsets), MAX_CHANGES];
  return (await session.query<ChainPosition & Row>({ name: "rollup_pick", text: PICK_CHANGES, values })).rows;
}

/** No change row may have a key that is after the last move of ledger row `id` and before the first move of ledger row `next`. */
export const BETWEEN_CHAINS = `
  (select id, moves, lead(id, 1, 9223372036854775807) over (order by id) as next
     from (select id, moves from public.ingest_offsets union all select 0, 0) ledger) between_chains`;

/** Change rows and positions without a move in the ledger: their ledger row is gone, or is an older copy of itself. */
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

export async function whyOrphaned(session: Session): Promise<string | undefined> {
  const { rows: [orphan] } = await session.query<{ ledger_id: string; move: string }>(`${ORPHANED} limit 1`);
  return orphan && `the ledger does not lead to move ${orphan.move} of ledger row ${orphan.ledger_id}`;
}

export function whyBroken(chain: ChainPosition): string | undefined {
  const { ledgerId, move, offset, moves, ledgerOffset, lastMove, lastOffset, continues } = chain;
  const at = `at move ${move} and offset ${offset}`;
  const ledger = `ledger row ${ledgerId} is at move ${moves} and offset ${ledgerOffset}`;
  if (move > moves || offset > ledgerOffset) return `${ledger}, and the rollup is ahead of it ${at}`;
  if (lastMove === null || lastOffset === null) {
    return `${ledger}, and no change leads there from the rollup ${at}`;
  }
  if (!continues) return `the changes of ledger row ${ledgerId} do not continue from the rollup ${at}`;
  const isBehind = lastMove < moves && lastOffset <= ledgerOffset;
  if (isBehind || (lastMove === moves && lastOffset === ledgerOffset)) return undefined;
  return `${ledger}, and its changes lead to move ${lastMove} and offset ${lastOffset}`;
}
