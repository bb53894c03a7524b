/** Folder `judge`: compares the tables with the records that were sent. It never writes, and shares no code with `reconcile`. */
import { waitFor } from "../../stack/process/wait.ts";
import type { Query } from "./query.ts";

export interface Chain {
  readonly problems: readonly string[];
  /** Number of change rows that the rollup has not applied. */
  readonly waiting: number;
  /** The rebuild has recounted all minutes from this one on; "infinity" if it has recounted none, null without a rebuild. */
  readonly cursor: string | null;
}

/** Longer than the longest pause between two rounds. */
const ROLLUP_WITHIN_MS = 60_000;

interface LogRow extends Record<string, unknown> {
  readonly log: string;
  readonly ledger: Position;
  readonly position: Position;
  readonly changes: readonly (readonly [move: number, from: number, next: number])[];
}

type Position = readonly [moves: number, offset: number];

/**
 * Checks that the change rows lead from the rollup's position to the ledger without a break. It reads one snapshot, so consumers
 * may write meanwhile. During a rebuild it reports no break, because the rebuild repairs it.
 */
export async function judgeChain(query: Query): Promise<Chain> {
  const [found] = await query<{ cursor: string | null; orphans: number; logs: LogRow[] }>(
    `select (select cursor::text from public.rollup) as cursor,
            (select count(*)::int
               from public.rollup_positions full join public.ingest_changes using (ledger_id)
              where not exists (select from public.ingest_offsets where id = ledger_id)) as orphans,
            (select coalesce(json_agg(json_build_object(
                      'log', format('partition %s, generation %s', o.kafka_partition, o.generation),
                      'ledger', json_build_array(o.moves, o.next_offset),
                      'position', json_build_array(coalesce(p.move, 0), coalesce(p.next_offset, o.first_offset)),
                      'changes', (select coalesce(json_agg(json_build_array(c.move, c.from_offset, c.next_offset)
                                                           order by c.move), '[]')
                                    from public.ingest_changes c
                                   where c.ledger_id = o.id and c.move > coalesce(p.move, 0)))), '[]')
               from public.ingest_offsets o
               left join public.rollup_positions p on p.ledger_id = o.id) as logs`,
  );
  if (found === undefined) throw new TypeError("a query without a condition gave no row");
  const { cursor, orphans, logs } = found;
  const problems = orphans === 0 ? [] : [`${orphans} changes or positions belong to no ledger row`];
  for (const log of logs) problems.push(...chainProblems(log));
  const waiting = logs.reduce((sum, { changes }) => sum + changes.length, 0);
  return { problems: cursor === null ? problems : [], waiting, cursor };
}

/** Waits for the rollup, and reports the change rows that it has not applied in time. Only the rollup may write meanwhile. */
export async function judgeCaughtUp(
  query: Query,
  withinMs: number = ROLLUP_WITHIN_MS,
): Promise<readonly string[]> {
  let chain = await judgeChain(query);
  await waitFor(async () => {
    chain = await judgeChain(query);
    // The consumers write nothing more, so waiting would not repair a break.
    return chain.problems.length > 0 || (chain.waiting === 0 && chain.cursor === null);
  }, withinMs);
  const { problems, waiting, cursor } = chain;
  return [
    ...problems,
    ...waiting === 0 ? [] : [`the rollup has not caught up: ${waiting} changes wait`],
    ...cursor === null ? [] : [`the rollup has not rebuilt all minutes: it is at ${cursor}`],
  ];
}

function chainProblems({ log, ledger, position, changes }: LogRow): string[] {
  const problems: string[] = [];
  let [move, offset] = position;
  for (const [next, from, to] of changes) {
    if (next !== move + 1 || from !== offset) {
      problems.push(
        `the changes of ${log}: move ${next} begins at ${from}, but move ${move} ended at ${offset}`,
      );
    }
    [move, offset] = [next, to];
  }
  if (move !== ledger[0] || offset !== ledger[1]) {
    problems.push(
      `the changes of ${log} end with move ${move} at ${offset}, but the ledger made ${ledger[0]} moves to ${
        ledger[1]
      }`,
    );
  }
  return problems;
}
