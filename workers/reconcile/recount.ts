/** What the tables hold, counted row by row and set beside what the ledger says of them. */
import { type Database, databaseFailure, type Row, type Session, sqlState } from "../_shared/postgres.ts";
import { type DerivedDifferences, recountDerived } from "./recount_derived.ts";

/** Counting a large table takes as long as it takes; it holds no lock that a writer would wait for. */
export const RECOUNT_LIMITS = {
  statementMs: 3_600_000,
  lockMs: 60_000,
  idleInTransactionMs: 60_000,
  transactionMs: 3_600_000,
};

const UNDEFINED_TABLE = "42P01";
/** A table that is missing for another reason is missing again. */
const ATTEMPTS = 5;

/** One ledger row, and what was found for it. */
export interface Account {
  readonly topic: string;
  readonly topicId: string;
  readonly partition: number;
  readonly generation: number;
  /** Whether the log is still read under this row: the log was not cut since. */
  readonly newest: boolean;
  readonly first: number;
  readonly next: number;
  readonly stored: number;
  readonly duplicates: number;
  readonly rejected: number;
  readonly gaps: number;
  readonly found: {
    readonly rejects: number;
    /** Of those: not in [first, next). */
    readonly rejectsOutside: number;
    /** Of those: under another topic or partition than the ledger row they belong to. */
    readonly rejectsMisfiled: number;
    /** Of those: at an offset that is a gap as well. */
    readonly rejectsInGaps: number;
    /** Offsets, not rows. */
    readonly gapOffsets: number;
    readonly gapsOutside: number;
    /** Gaps that begin before an earlier one ends. */
    readonly gapsOverlapping: number;
  };
  readonly feed: ChangeFeed;
}

/** Where the rollup stands in the changes of a ledger row, and the chain of those that wait for it. */
export interface ChangeFeed {
  /** The offset up to which the rollup has applied them. */
  readonly position: number;
  /** Age of the first change that waits; 0 when none does. */
  readonly seconds: number;
  /** Changes that do not begin where the one before, or the position, ends. */
  readonly breaks: number;
  /** The offset where the last one ends; the position, when none waits. */
  readonly end: number;
  /** Moves of the ledger row behind the last one. */
  readonly movesBehind: number;
}

export interface Recount {
  readonly accounts: readonly Account[];
  readonly heartbeatRows: number;
  readonly rollup: {
    /** While a rebuild is under way: the minute from which on minutes and latest readings were compared. */
    readonly comparedFrom: string | null;
    /** Positions and changes of ledger rows that are not there. */
    readonly strangers: number;
  };
  readonly derived: DerivedDifferences;
}

const ACCOUNTS = `
  select json_build_object(
           'topic', log.topic, 'topicId', log.topic_id,
           'partition', log.kafka_partition, 'generation', log.generation,
           'newest', log.generation = max(log.generation) over (partition by log.topic_id, log.kafka_partition),
           'first', log.first_offset, 'next', log.next_offset,
           'stored', log.stored, 'duplicates', log.duplicates, 'rejected', log.rejected, 'gaps', log.gaps,
           'found', json_build_object(
             'rejects', rejects.found, 'rejectsOutside', rejects.outside, 'rejectsMisfiled', rejects.misfiled,
             'rejectsInGaps', (
               select count(distinct kafka_offset)
                 from public.ingest_gaps gap
                 join public.heartbeat_rejects using (ledger_id)
                where gap.ledger_id = log.id and kafka_offset >= from_offset and kafka_offset < to_offset),
             'gapOffsets', gaps.found, 'gapsOutside', gaps.outside, 'gapsOverlapping', gaps.overlapping),
           'feed', json_build_object(
             'position', position.next_offset, 'seconds', lag.lag_seconds, 'breaks', feed.breaks,
             'end', coalesce(feed.next_offset, position.next_offset),
             'movesBehind', log.moves - coalesce(feed.move, position.move))) as account
    from public.ingest_offsets log
    join public.rollup_lag lag on lag.ledger_id = log.id
   cross join lateral (
     select count(*) as found,
            count(*) filter (where kafka_offset < log.first_offset or kafka_offset >= log.next_offset) as outside,
            count(*) filter (where topic <> log.topic or kafka_partition <> log.kafka_partition) as misfiled
       from public.heartbeat_rejects
      where ledger_id = log.id
   ) rejects
   cross join lateral (
     select coalesce(sum(to_offset - from_offset), 0) as found,
            count(*) filter (where from_offset < log.first_offset or to_offset > log.next_offset) as outside,
            count(*) filter (where covered_to > from_offset) as overlapping
       from (select from_offset, to_offset,
                    max(to_offset) over (order by from_offset rows between unbounded preceding and 1 preceding)
                      as covered_to
               from public.ingest_gaps
              where ledger_id = log.id) gap
   ) gaps
   cross join lateral (
     select coalesce(max(move), 0) as move, coalesce(max(next_offset), log.first_offset) as next_offset
       from public.rollup_positions
      where ledger_id = log.id
   ) position
   cross join lateral (
     select max(move) as move, (array_agg(next_offset order by move desc))[1] as next_offset,
            count(*) filter (where move <> move_before + 1 or from_offset <> offset_before) as breaks
       from (select move, from_offset, next_offset,
                    lag(move, 1, position.move) over (order by move) as move_before,
                    lag(next_offset, 1, position.next_offset) over (order by move) as offset_before
               from public.ingest_changes
              where ledger_id = log.id and move > position.move) change
   ) feed
   order by log.topic, min(log.id) over (partition by log.topic_id), log.kafka_partition, log.generation`;

const ROLLUP = `
  select (select cursor::text from public.rollup) as "comparedFrom",
         (select count(*)::int
            from (select ledger_id from public.rollup_positions
                   union all
                  select ledger_id from public.ingest_changes) known
           where ledger_id not in (select id from public.ingest_offsets)) as strangers`;

/**
 * Counts everything in one snapshot, so that the sums belong together while a consumer goes on writing.
 *
 * @param signal ends the counting
 * @throws PipelineError when PostgreSQL is away or refuses
 */
export async function recount(database: Database, { signal }: { signal: AbortSignal }): Promise<Recount> {
  for (let attempt = 1;; attempt++) {
    try {
      return await database.transaction((session) => recountOnce(database, session, signal));
    } catch (error) {
      // A partition that was being dropped in the snapshot is gone by now; the next snapshot has its count.
      if (sqlState(error) === UNDEFINED_TABLE && attempt < ATTEMPTS) continue;
      throw databaseFailure("recount the tables", database.target, error);
    }
  }
}

async function recountOnce(database: Database, session: Session, signal: AbortSignal): Promise<Recount> {
  await session.query("set transaction isolation level repeatable read, read only");
  // Before the snapshot: a partition that is detached or attached after it would be missing from the sums.
  await session.query(
    "lock table only public.heartbeats, public.heartbeats_default in access share mode",
  );
  using _ = await cancelOnAbort(database, session, signal);
  const dropping = await session.query<{ name: string }>(
    "select quote_ident(detached) as name from public.heartbeat_retention where dropped_rows is null",
  );
  const counts = [
    "select count(*) from public.heartbeats",
    // What was dropped for its age was stored once, and counted before it was dropped.
    "select coalesce(sum(dropped_rows), 0) from public.heartbeat_retention",
    // Being dropped: its rows are not counted yet.
    ...dropping.rows.map(({ name }) => `select count(*) from public.${name}`),
  ];
  const rows = await session.query<{ count: string }>(
    `select ${counts.map((one) => `(${one})`).join(" + ")} as count`,
  );
  const accounts = await session.query<{ account: Account }>(ACCOUNTS);
  const rollup = await session.query<Recount["rollup"] & Row>(ROLLUP);
  return {
    accounts: accounts.rows.map(({ account }) => account),
    heartbeatRows: Number(rows.rows[0]?.count),
    rollup: rollup.rows[0] ?? { comparedFrom: null, strangers: 0 },
    derived: await recountDerived(session),
  };
}

/** A count over a large table would go on in the server long after Ctrl-C. */
async function cancelOnAbort(database: Database, session: Session, signal: AbortSignal): Promise<Disposable> {
  const result = await session.query<{ pid: number }>("select pg_backend_pid() as pid");
  const cancel = () =>
    void database.query("select pg_cancel_backend($1)", [result.rows[0]?.pid]).catch(() => {});
  signal.addEventListener("abort", cancel, { once: true });
  return { [Symbol.dispose]: () => signal.removeEventListener("abort", cancel) };
}
