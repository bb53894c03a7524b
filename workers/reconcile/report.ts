import { type Column, formatTable } from "../_shared/table.ts";
import { isAccounted, isRebuildDue, type Judgement, type Line } from "./judge.ts";

const SUMMED = ["stored", "duplicates", "rejected", "gaps", "lag", "unaccounted"] as const;

/** `unaccounted` includes missing and surplus rows of heartbeats. */
type Totals = Readonly<Record<Exclude<typeof SUMMED[number], "lag">, number> & { lag: number | null }>;

export function formatJson(judgement: Judgement): string {
  const outcome = { accounted: isAccounted(judgement), totals: totalsOf(judgement), ...judgement };
  return JSON.stringify(outcome, null, 2);
}

export function formatReport(judgement: Judgement): string {
  const { lines, notes } = judgement;
  const totals = totalsOf(judgement);
  const parts = [
    lines.length === 0 ? "The ledger is empty: no consumer has read anything yet." : table(lines, totals),
  ];
  if (lines.length > 0) parts.push(rollupLine(judgement.rollup));
  if (notes.length > 0) parts.push(notes.map((note) => `Note: ${note}.`).join("\n"));
  parts.push(verdict(judgement, totals));
  return parts.join("\n\n");
}

function rollupLine(rollup: Judgement["rollup"]): string {
  const { offsetsBehind, secondsBehind, comparedFrom } = rollup;
  const behind = `Rollup: ${grouped(offsetsBehind)} offsets behind, ${secondsBehind.toFixed(1)} s`;
  if (comparedFrom === null) {
    return `${behind}. Minute aggregates and latest readings were compared, with the pending changes.`;
  }
  const compared = isRebuildDue(rollup) ? "none" : `those from ${comparedFrom} on`;
  return `${behind}. A rebuild of minute aggregates and latest readings is running: ${compared} were compared.`;
}

const REBUILD_DUE =
  "NOT COMPARED WITH THE ROWS: minute aggregates and latest readings, because a rebuild is due; " +
  "run this again when public.rollup.cursor is no longer infinity";

function verdict({ problems, unchecked, rollup }: Judgement, totals: Totals): string {
  const rebuildDue = isRebuildDue(rollup) ? [REBUILD_DUE] : [];
  if (problems.length > 0) {
    const count = problems.length === 1 ? "1 difference" : `${problems.length} differences`;
    const rest = unchecked === null ? [] : [`and not compared with Kafka: ${unchecked}`];
    return [`NOT ACCOUNTED FOR: ${count}`, ...problems, ...rest, ...rebuildDue].join("\n  ");
  }
  if (unchecked !== null) {
    const compared = isRebuildDue(rollup) ? "the ledger agrees with its tables" : "the tables agree";
    const kafka = `NOT COMPARED WITH KAFKA, ${compared}: ${unchecked}, or use --no-kafka to leave Kafka out`;
    return [kafka, ...rebuildDue].join("\n");
  }
  if (isRebuildDue(rollup)) return `${REBUILD_DUE}; the ledger agrees with its tables`;
  const { stored, duplicates, rejected, gaps, lag } = totals;
  const parts = SUMMED.slice(0, 4).map((name) => `${grouped(totals[name])} ${name}`).join(" + ");
  const rest = lag === null ? "Kafka was not asked" : `${grouped(lag)} not read yet`;
  return `ACCOUNTED FOR: ${grouped(stored + duplicates + rejected + gaps)} offsets = ${parts}; ${rest}`;
}

function table(lines: readonly Line[], totals: Totals): string {
  const incarnations = new Set(lines.map(({ topicId }) => topicId)).size;
  const topics = new Set(lines.map(({ topic }) => topic)).size;
  const right = "right" as const;
  const sums = SUMMED.map((title) => {
    return { title, align: right, of: (line: Line) => grouped(line[title]), total: grouped(totals[title]) };
  });
  const columns: (Column & { of: (line: Line) => string; total?: string })[] = [
    { title: "topic", of: ({ topic }) => topic, total: "total" },
    // If no topic was created again, the topic id would only repeat the name.
    ...incarnations > topics
      ? [{ title: "incarnation", of: ({ topicId }: Line) => topicId.slice(0, 8) }]
      : [],
    { title: "partition", align: right, of: ({ partition }) => String(partition) },
    ...lines.some(({ generation }) => generation > 0)
      ? [{ title: "generation", align: right, of: ({ generation }: Line) => String(generation) }]
      : [],
    { title: "first", align: right, of: ({ first }) => grouped(first) },
    { title: "next", align: right, of: ({ next }) => grouped(next) },
    ...sums.slice(0, 4),
    { title: "end", align: right, of: ({ end }) => grouped(end) },
    ...sums.slice(4),
  ];
  return formatTable(columns, [
    ...lines.map((line) => columns.map(({ of }) => of(line))),
    columns.map(({ total = "" }) => total),
  ]);
}

function totalsOf({ lines, heartbeatRows, comparedWithKafka }: Judgement): Totals {
  const total = (name: keyof Totals) => lines.reduce((sum, line) => sum + (line[name] ?? 0), 0);
  const stored = total("stored");
  return {
    stored,
    duplicates: total("duplicates"),
    rejected: total("rejected"),
    gaps: total("gaps"),
    lag: comparedWithKafka ? total("lag") : null,
    unaccounted: total("unaccounted") + stored - heartbeatRows,
  };
}

function grouped(value: number | null): string {
  return value === null ? "-" : value.toLocaleString("en-US");
}
