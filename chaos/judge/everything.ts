/** Checks that the tables contain the result of each acknowledged record and nothing else, and that the ledger agrees. */
import { judgeCaughtUp } from "./chain.ts";
import { judgeLatest, judgeMinutes } from "./derived.ts";
import { judgeLedger, type LedgerTotals } from "./ledger.ts";
import { type Found, type Query } from "./query.ts";
import { judgeRejects, type RejectsPart } from "./rejects.ts";
import { judgeRows, type RowsPart } from "./rows.ts";

/** The expected result of all records, in parts, so that memory does not limit their number. */
export interface Intent {
  readonly rows: () => Iterable<RowsPart>;
  readonly rejects: () => Iterable<RejectsPart>;
  /** Undefined if the number of duplicates is not known. */
  readonly duplicates?: { readonly atLeast: number; readonly atMost: number };
  /** Set it only if every log was read from offset 0 to its end and was never truncated. */
  readonly whole?: {
    /** Log end offsets by partition, from Kafka. */
    readonly ends: readonly number[];
    /** Next offset after the last acknowledged record, by partition. */
    readonly acknowledged: readonly number[];
  };
}

export interface Judgement extends Found {
  readonly rejects: number;
}

/** Waits for the rollup first. The caller makes sure that the consumers have read every log to its end. */
export async function judgeEverything(query: Query, intent: Intent): Promise<Judgement> {
  const rollupProblems = await judgeCaughtUp(query);
  const rows = await sumOf(intent.rows(), (part) => judgeRows(query, part));
  const rejects = await sumOf(intent.rejects(), (part) => judgeRejects(query, part));
  const ledger = await judgeLedger(query, intent.whole !== undefined);
  const [{ count } = { count: "0" }] = await query<{ count: string }>(
    "select count(*) from public.heartbeats",
  );
  const otherRows = Number(count) - rows.rows;
  const problems = [
    ...rows.problems,
    ...rejects.problems,
    ...ledger.problems,
    ...judgeTotals(ledger.totals, intent, { stored: rows.rows, rejected: rejects.rows }),
    ...otherRows === 0 ? [] : [`number of rows outside the time range of the sent records: ${otherRows}`],
    ...rollupProblems,
    ...await judgeMinutes(query),
    ...await judgeLatest(query),
  ];
  const lost = rows.lost + rejects.lost;
  return { problems, rows: rows.rows, rejects: rejects.rows, lost, storedTwice: rows.storedTwice };
}

async function sumOf<T>(parts: Iterable<T>, judge: (part: T) => Promise<Found>): Promise<Found> {
  const sum = { problems: new Array<string>(), rows: 0, lost: 0, storedTwice: 0 };
  for (const part of parts) {
    const found = await judge(part);
    sum.problems.push(...found.problems);
    sum.rows += found.rows;
    sum.lost += found.lost;
    sum.storedTwice += found.storedTwice;
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
        `the log of partition ${partition} ends at ${end}, but the broker acknowledged the offsets below ${acknowledged}`,
      );
    }
  });
  const { stored, rejected, duplicates: repeated, gaps } = ledger;
  const log = whole.ends.reduce((sum, end) => sum + end, 0);
  expect("records in the ledger", stored + rejected + repeated + gaps, log);
  expect("gaps", gaps, 0);
  return problems;
}
