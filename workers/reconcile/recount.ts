import {
  cancelOnAbort,
  type Database,
  databaseFailure,
  type Row,
  type Session,
  sqlState,
} from "../_shared/postgres.ts";
import { type DerivedDifferences, recountDerived } from "./recount_derived.ts";

/** Long limits, because a large table takes long to count. The recount holds no lock that a writer waits for. */
export const RECOUNT_LIMITS = {
  statementMs: 3_600_000,
  lockMs: 60_000,
  idleInTransactionMs: 60_000,
  transactionMs: 3_600_000,
};

const UNDEFINED_TABLE = "42P01";
const ATTEMPTS = 5;

export interface Account {
  readonly topic: string;
  readonly topicId: string;
  readonly partition: number;
  readonly generation: number;
  /** Whether this is the newest generation of its log. A truncation of the log starts a new generation. */
  readonly newest: boolean;
  readonly first: number;
  readonly next: number;
  readonly stored: number;
  readonly duplicates: number;
  readonly rejected: number;
  readonly gaps: number;
  readonly found: {
    readonly rejects: number;
    /** Rejects that do not lie from `first` to below `next`. */
    readonly rejectsOutside: number;
    /** Rejects that have another topic or partition than their ledger row. */
    readonly rejectsMisfiled: number;
    readonly rejectsInGaps: number;
    /** Number of offsets, not of rows. */
    readonly gapOffsets: number;
    readonly gapsOutside: number;
    readonly gapsOverlapping: number;
  };
  readonly feed: ChangeFeed;
}

/** The position of the rollup for a ledger row, and the chain of change rows that are pending there. */
export interface ChangeFeed {
  readonly position: number;
  /** Age of the oldest pending change row, or 0. */
  readonly seconds: number;
  /** Number of pending change rows that do not start where the previous one, or the position, ends. */
  readonly breaks: number;
  /** The end of the last pending change row, or the position if none is pending. */
  readonly end: number;
  /** Number of moves of the ledger row that have no change row. */
  readonly missingMoves: number;
}

export interface Recount {
  readonly accounts: readonly Account[];
  readonly heartbeatRows: number;
  readonly rollup: {
    /** During a rebuild, the first minute that is already rebuilt, or "infinity" if none is; otherwise null. */
    readonly comparedFrom: string | null;
    /** Number of positions and change rows without a ledger row. */
    readonly orphans: number;
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
             'missingMoves', log.moves - coalesce(feed.move, position.move))) as account
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
           where ledger_id not in (select id from public.ingest_offsets)) as orphans`;

/** Counts everything in one snapshot, so that the sums fit together while consumers write. */
export async function recount(database: Database, { signal }: { signal: AbortSignal }): Promise<Recount> {
  for (let attempt = 1;; attempt++) {
    try {
      return await database.transaction((session) => recountOnce(database, session, signal));
    } catch (error) {
      // Retention has dropped a detached day partition since the snapshot. The next snapshot has its row count.
      if (sqlState(error) === UNDEFINED_TABLE && attempt < ATTEMPTS) continue;
      throw databaseFailure("recount the tables", database.target, error);
    }
  }
}

async function recountOnce(database: Database, session: Session, signal: AbortSignal): Promise<Recount> {
  await session.query("set transaction isolation level repeatable read, read only");
  // Locked before the snapshot is taken: a day partition that is attached or detached later would be missing from the sums.
  await session.query(
    "lock table only public.heartbeats, public.heartbeats_default in access share mode",
  );
  using _ = await cancelOnAbort(database, session, signal);
  const dropping = await session.query<{ name: string }>(
    "select quote_ident(detached) as name from public.heartbeat_retention where dropped_rows is null",
  );
  const counts = [
    "select count(*) from public.heartbeats",
    // Retention counts the rows of a day partition before it drops it.
    "select coalesce(sum(dropped_rows), 0) from public.heartbeat_retention",
    // Retention has detached these day partitions and not counted them yet.
    ...dropping.rows.map(({ name }) => `select count(*) from public.${name}`),
  ];
  const rows = await session.query<{ count: string }>(
    `select ${counts.map((sql) => `(${sql})`).join(" + ")} as count`,
  );
  const accounts = await session.query<{ account: Account }>(ACCOUNTS);
  const rollup = await session.query<Recount["rollup"] & Row>(ROLLUP);
  return {
    accounts: accounts.rows.map(({ account }) => account),
    heartbeatRows: Number(rows.rows[0]?.count),
    rollup: rollup.rows[0] ?? { comparedFrom: null, orphans: 0 },
    derived: await recountDerived(session),
  };
}
