/** What the tables hold, counted row by row and set beside what the ledger says of them. */
import {
  type Database,
  databaseFailure,
  type Session,
  type SessionLimits,
  sqlState,
} from "../_shared/postgres.ts";
import { type DerivedDifferences, recountDerived } from "./recount_derived.ts";

/** Counting a large table takes as long as it takes; it holds no lock that a writer would wait for. */
export const RECOUNT_LIMITS: SessionLimits = {
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
}

export interface Recount {
  readonly accounts: readonly Account[];
  readonly heartbeatRows: number;
  readonly derived: DerivedDifferences;
}

const ACCOUNTS = `
  with rejects as (
    select reject.ledger_id,
           count(*) as found,
           count(*) filter (where reject.kafka_offset < log.first_offset or reject.kafka_offset >= log.next_offset)
             as outside,
           count(*) filter (where reject.topic <> log.topic or reject.kafka_partition <> log.kafka_partition)
             as misfiled
      from public.heartbeat_rejects reject
      join public.ingest_offsets log on log.id = reject.ledger_id
     group by reject.ledger_id
  ), ordered_gaps as (
    select gap.*,
           max(gap.to_offset) over (
             partition by gap.ledger_id order by gap.from_offset rows between unbounded preceding and 1 preceding
           ) as covered_to
      from public.ingest_gaps gap
  ), gaps as (
    select gap.ledger_id,
           sum(gap.to_offset - gap.from_offset) as found,
           count(*) filter (where gap.from_offset < log.first_offset or gap.to_offset > log.next_offset) as outside,
           count(*) filter (where gap.covered_to > gap.from_offset) as overlapping
      from ordered_gaps gap
      join public.ingest_offsets log on log.id = gap.ledger_id
     group by gap.ledger_id
  ), rejects_in_gaps as (
    select gap.ledger_id, count(distinct reject.kafka_offset) as found
      from public.ingest_gaps gap
      join public.heartbeat_rejects reject
        on reject.ledger_id = gap.ledger_id
       and reject.kafka_offset >= gap.from_offset
       and reject.kafka_offset < gap.to_offset
     group by gap.ledger_id
  )
  select log.topic, log.topic_id, log.kafka_partition as partition, log.generation,
         log.generation = max(log.generation) over (partition by log.topic_id, log.kafka_partition) as newest,
         log.first_offset, log.next_offset, log.stored, log.duplicates, log.rejected, log.gaps,
         coalesce(rejects.found, 0) as rejects,
         coalesce(rejects.outside, 0) as rejects_outside,
         coalesce(rejects.misfiled, 0) as rejects_misfiled,
         coalesce(rejects_in_gaps.found, 0) as rejects_in_gaps,
         coalesce(gaps.found, 0) as gap_offsets,
         coalesce(gaps.outside, 0) as gaps_outside,
         coalesce(gaps.overlapping, 0) as gaps_overlapping
    from public.ingest_offsets log
    left join rejects on rejects.ledger_id = log.id
    left join gaps on gaps.ledger_id = log.id
    left join rejects_in_gaps on rejects_in_gaps.ledger_id = log.id
   order by log.topic, min(log.id) over (partition by log.topic_id), log.kafka_partition, log.generation`;

type Row = Record<string, string> & { newest: boolean; partition: number; generation: number };

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
  // Before the snapshot: a partition that is detached after it would be missing from both sums.
  await session.query("lock table only public.heartbeats in access share mode");
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
  const accounts = await session.query<Row>(ACCOUNTS);
  return {
    accounts: accounts.rows.map(account),
    heartbeatRows: Number(rows.rows[0]?.count),
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

function account(row: Row): Account {
  return {
    topic: row.topic ?? "",
    topicId: row.topic_id ?? "",
    partition: row.partition,
    generation: row.generation,
    newest: row.newest,
    first: Number(row.first_offset),
    next: Number(row.next_offset),
    stored: Number(row.stored),
    duplicates: Number(row.duplicates),
    rejected: Number(row.rejected),
    gaps: Number(row.gaps),
    found: {
      rejects: Number(row.rejects),
      rejectsOutside: Number(row.rejects_outside),
      rejectsMisfiled: Number(row.rejects_misfiled),
      rejectsInGaps: Number(row.rejects_in_gaps),
      gapOffsets: Number(row.gap_offsets),
      gapsOutside: Number(row.gaps_outside),
      gapsOverlapping: Number(row.gaps_overlapping),
    },
  };
}
