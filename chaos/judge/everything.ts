/** Checks that each acknowledged record ended in exactly one place, that nothing else exists, and that the ledger agrees. */
import { judgeCaughtUp } from "./chain.ts";
import { judgeLatest, judgeMinutes } from "./derived.ts";
import { judgeLedger, type LedgerTotals } from "./ledger.ts";
import { type Found, problemAbout, type Query } from "./query.ts";
import { judgeRejects, type RejectsPart } from "./rejects.ts";
import { judgeRows, type RowsPart } from "./rows.ts";

/** The expected fate of all records, in parts, so that memory does not limit their number. */
export interface Intent {
  readonly rows: () => Iterable<RowsPart>;
  readonly rejects: () => Iterable<RejectsPart>;
  /** Omit it if the number of duplicates is not known. */
  readonly duplicates?: { readonly atLeast: number; readonly atMost: number };
  /** Only if all logs were read from offset 0, were never truncated, and are in the ledger up to their ends. */
  readonly whole?: {
    /** Log end offsets by partition, from Kafka. */
    readonly ends: readonly number[];
    /** Next offset after the last acknowledged record, by partition. */
    readonly acknowledged: readonly number[];
  };
}

export interface Judgement {
  readonly problems: readonly string[];
  readonly rows: number;
  readonly rejects: number;
  /** Records with neither a row nor a reject. */
  readonly lost: number;
}

/** Call it when the ledger has caught up and only the rollup still works: it waits for the rollup. */
export async function judgeEverything(query: Query, intent: Intent): Promise<Judgement> {
  const behind = await judgeCaughtUp(query);
  const rows = await sumOf(intent.rows(), (part) => judgeRows(query, part));
  const rejects = await sumOf(intent.rejects(), (part) => judgeRejects(query, part));
  const ledger = await judgeLedger(query, intent.whole !== undefined);
  const [{ count } = { count: "0" }] = await query<{ count: string }>(
    "select count(*) from public.heartbeats",
  );
  const elsewhere = Number(count) - rows.rows;
  const problems = [
    ...rows.problems,
    ...rejects.problems,
    ...ledger.problems,
    ...judgeTotals(ledger.totals, intent, { stored: rows.rows, rejected: rejects.rows }),
    ...elsewhere === 0 ? [] : problemAbout("rows at instants of no record:", [`${elsewhere}`]),
    ...behind,
    ...await judgeMinutes(query),
    ...await judgeLatest(query),
  ];
  return { problems, rows: rows.rows, rejects: rejects.rows, lost: rows.lost + rejects.lost };
}

async function sumOf<T>(parts: Iterable<T>, judge: (part: T) => Promise<Found>): Promise<Found> {
  const sum = { problems: new Array<string>(), rows: 0, lost: 0 };
  for (const part of parts) {
    const found = await judge(part);
    sum.problems.push(...found.problems);
    sum.rows += found.rows;
    sum.lost += found.lost;
  }
  return sum;
}

function judgeTotals(
  ledger: LedgerTotals,
  { duplicates, whole }: Intent,
  found: { readonly stored: number; readonly rejected: number },
): string[] {
  const problems: string[] = [];
  const expect = (what: string, is: number, expected: number) => {
    if (is !== expected) problems.push(`${what}: is ${is}, expected ${expected}`);
  };
  expect("stored, by the ledger", ledger.stored, found.stored);
  expect("rejected, by the ledger", ledger.rejected, found.rejected);
  if (duplicates !== undefined) {
    const { atLeast, atMost } = duplicates;
    const nearest = Math.max(atLeast, Math.min(atMost, ledger.duplicates));
    expect("duplicates, by the ledger", ledger.duplicates, nearest);
  }
  if (whole === undefined) return problems;
  whole.ends.forEach((end, partition) => {
    expect(`next offset of partition ${partition}`, ledger.next.get(partition) ?? 0, end);
    const acknowledged = whole.acknowledged[partition] ?? 0;
    if (end < acknowledged) {
      problems.push(
        `partition ${partition} of the log ends at ${end}, but ${acknowledged} were acknowledged`,
      );
    }
  });
  const { stored, rejected, duplicates: repeated, gaps } = ledger;
  const log = whole.ends.reduce((sum, end) => sum + end, 0);
  expect("records in the ledger", stored + rejected + repeated + gaps, log);
  expect("gaps", gaps, 0);
  return problems;
}
