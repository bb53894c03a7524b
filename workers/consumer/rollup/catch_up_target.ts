/** `--until-caught-up` waits for the moves of one moment, because the ingest can add change rows without end. */
import type { Database, Row } from "../../_shared/postgres.ts";

type Queried = Pick<Database, "query">;

export type CatchUpTarget = readonly {
  readonly id: string;
  readonly moves: string;
  readonly next_offset: string;
}[];

export async function readCatchUpTarget(database: Queried): Promise<CatchUpTarget> {
  return await database.query("select id, moves, next_offset from public.ingest_offsets");
}

const REMAINING = `
  select coalesce(sum(goal.next_offset - coalesce(position.next_offset, ledger.first_offset)), 0)::float8 as offsets,
         (select count(cursor) > 0 from public.rollup) as "isRebuilding",
         count(*) = 0 and (select count(cursor) = 0 from public.rollup) as "isNone"
    from unnest($1::bigint[], $2::bigint[], $3::bigint[]) as goal (ledger_id, moves, next_offset)
    join public.ingest_offsets ledger on ledger.id = goal.ledger_id
    left join public.rollup_positions position on position.ledger_id = goal.ledger_id
   where coalesce(position.move, 0) < goal.moves
      or coalesce(position.next_offset, ledger.first_offset) < goal.next_offset`;

export async function remainingTo(database: Queried, goal: CatchUpTarget) {
  const values = (["id", "moves", "next_offset"] as const).map((column) => goal.map((row) => row[column]));
  type Remaining = { readonly offsets: number; readonly isRebuilding: boolean; readonly isNone: boolean };
  const [remaining] = await database.query<Remaining & Row>(REMAINING, values);
  if (remaining === undefined) throw new TypeError("sums without a row");
  return remaining;
}
