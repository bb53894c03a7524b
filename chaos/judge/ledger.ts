/** Checks the ledger's sums, and compares its counts with rejects and gaps. Consumers may write meanwhile. */
import type { Query } from "./query.ts";

export interface LedgerTotals {
  /** Next offset by partition. */
  readonly next: ReadonlyMap<number, number>;
  readonly stored: number;
  readonly duplicates: number;
  readonly rejected: number;
  readonly gaps: number;
}

/** @param whole whether every log was read from offset 0 and was never truncated */
export async function judgeLedger(
  query: Query,
  whole: boolean,
): Promise<{ problems: string[]; totals: LedgerTotals }> {
  const rows = await query<Record<string, string>>(
    `select o.kafka_partition, o.generation, o.first_offset, o.next_offset, o.stored, o.duplicates, o.rejected, o.gaps,
            (select count(*) from public.heartbeat_rejects r where r.ledger_id = o.id) as reject_rows,
            (select coalesce(sum(to_offset - from_offset), 0) from public.ingest_gaps g where g.ledger_id = o.id)
              as gap_offsets
       from public.ingest_offsets o`,
  );
  const problems: string[] = [];
  const next = new Map<number, number>();
  const totals = { stored: 0, duplicates: 0, rejected: 0, gaps: 0 };
  for (const row of rows) {
    const n = (name: string) => Number(row[name]);
    const log = `partition ${row["kafka_partition"]}${
      n("generation") === 0 ? "" : `, generation ${row["generation"]}`
    }`;
    next.set(n("kafka_partition"), n("next_offset"));
    for (const name of ["stored", "duplicates", "rejected", "gaps"] as const) totals[name] += n(name);
    const accounted = n("stored") + n("duplicates") + n("rejected") + n("gaps");
    if (n("next_offset") - n("first_offset") !== accounted) {
      problems.push(`the ledger of ${log} does not add up: ${JSON.stringify(row)}`);
    }
    if (whole && (n("first_offset") !== 0 || n("generation") !== 0)) {
      problems.push(`${log} was not read from its beginning: ${JSON.stringify(row)}`);
    }
    if (n("rejected") !== n("reject_rows")) {
      problems.push(
        `the ledger of ${log} counts ${n("rejected")} rejects, but there are ${n("reject_rows")}`,
      );
    }
    if (n("gaps") !== n("gap_offsets")) {
      problems.push(`the ledger of ${log} counts ${n("gaps")} gaps, but there are ${n("gap_offsets")}`);
    }
  }
  return { problems, totals: { next, ...totals } };
}
