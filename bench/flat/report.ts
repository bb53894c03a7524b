import { formatTable } from "../../workers/_shared/table.ts";
import type { NamedQuery } from "../lab/user_queries.ts";
import { replaceSection } from "../lab/sections.ts";
import { type Shape, titleOf } from "../lab/shapes.ts";
import { summarize } from "../lab/statistics.ts";

const LONG_MS = 50;

/** Durations in milliseconds, by the name of the query. */
export type QueryTimes = ReadonlyMap<string, readonly number[]>;

export interface Measured {
  /** Rows per second of each run. */
  readonly rates: { readonly empty: readonly number[]; readonly full: readonly number[] };
  readonly queries: readonly NamedQuery[];
  readonly quiet: QueryTimes;
  readonly busy: QueryTimes;
}

const right = { align: "right" as const };

export async function report(
  flags: { readonly rows: number; readonly records: number; readonly runs: number },
  shape: Shape,
  measured: Measured,
): Promise<void> {
  const { rates } = measured;
  const [empty, full] = [summarize(rates.empty), summarize(rates.full)];
  // Compares run N with run N of the empty table, because the speed of the machine changes over time.
  const ratio = summarize(rates.full.map((rate, index) => rate / (rates.empty[index] ?? NaN))).median;
  const rate = (name: string, { median, spread }: typeof empty, ratio: number) => [
    name,
    Math.round(median).toLocaleString("en"),
    `±${(spread * 100).toFixed(0)} %`,
    ratio.toFixed(2),
  ];
  const rateTable = formatTable([
    { title: "into" },
    { title: "rows/s", ...right },
    { title: "spread", ...right },
    { title: "ratio", ...right },
  ], [
    rate("an empty table", empty, 1),
    rate(`a table of ${flags.rows.toLocaleString("en")} rows`, full, ratio),
  ]);
  const text =
    `Deno ${Deno.version.deno}, ${navigator.hardwareConcurrency} cores; ${flags.records} records a run, median of ` +
    `${flags.runs} runs\n\n${rateTable}\n\n${queryTable(measured)}\n`;
  const title = titleOf(shape);
  Deno.stdout.writeSync(new TextEncoder().encode(`${title}\n${text}\n`));
  await replaceSection("flat.txt", title, text);
}

function queryTable({ queries, quiet, busy }: Measured): string {
  const asked = queries.flatMap(({ name }) => {
    const [before = [], meanwhile = []] = [quiet.get(name), busy.get(name)];
    if (meanwhile.length === 0) return [];
    const [quietMs, busyMs] = [summarize(before).median, summarize(meanwhile).median];
    return [{ name, quietMs, busyMs, count: meanwhile.length }];
  }).sort((a, b) => b.busyMs - a.busyMs);
  const count = (of: (query: typeof asked[number]) => number) =>
    String(asked.filter((query) => of(query) > LONG_MS).length);
  return formatTable([
    { title: "query" },
    { title: "without ingest, ms", ...right },
    { title: "during ingest, ms", ...right },
    { title: "ratio", ...right },
    { title: "runs", ...right },
  ], [
    ...asked.map(({ name, quietMs, busyMs, count }) => [
      name,
      quietMs.toFixed(1),
      busyMs.toFixed(1),
      (busyMs / quietMs).toFixed(1),
      String(count),
    ]),
    [
      "all, median of the ratios",
      "",
      "",
      summarize(asked.map(({ quietMs, busyMs }) => busyMs / quietMs)).median.toFixed(1),
      "",
    ],
    [`over ${LONG_MS} ms`, count(({ quietMs }) => quietMs), count(({ busyMs }) => busyMs), "", ""],
  ]);
}
