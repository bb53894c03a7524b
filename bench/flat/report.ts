/** Rates and queries of a full table, as two tables. */
import { formatTable } from "../../workers/_shared/table.ts";
import type { NamedQuery } from "../lab/peoples_queries.ts";
import { keepSection } from "../lab/sections.ts";
import { type Shape, titleOf } from "../lab/shapes.ts";
import { summarize } from "../lab/statistics.ts";

/** Longer than people should wait for a panel. */
const LONG_MS = 50;

/** Milliseconds by the query's name. */
export type AskedTimes = ReadonlyMap<string, readonly number[]>;

export interface Measured {
  /** Rows a second, one value a run. */
  readonly rates: { readonly empty: readonly number[]; readonly full: readonly number[] };
  readonly queries: readonly NamedQuery[];
  readonly quiet: AskedTimes;
  readonly busy: AskedTimes;
}

const right = { align: "right" as const };

export async function report(
  flags: { readonly rows: number; readonly records: number; readonly runs: number },
  shape: Shape,
  measured: Measured,
): Promise<void> {
  const { rates } = measured;
  const [empty, full] = [summarize(rates.empty), summarize(rates.full)];
  // Of the same turn: the machine is not as fast in each of them.
  const ratio = summarize(rates.full.map((rate, turn) => rate / (rates.empty[turn] ?? NaN))).median;
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
    rate(`${flags.rows.toLocaleString("en")} rows and more`, full, ratio),
  ]);
  const text =
    `Deno ${Deno.version.deno}, ${navigator.hardwareConcurrency} cores; ${flags.records} records a run, median of ` +
    `${flags.runs} runs\n\n${rateTable}\n\n${queryTable(measured)}\n`;
  const title = titleOf(shape);
  Deno.stdout.writeSync(new TextEncoder().encode(`${title}\n${text}\n`));
  await keepSection("flat.txt", title, text);
}

function queryTable({ queries, quiet, busy }: Measured): string {
  const asked = queries.flatMap(({ name }) => {
    const [before = [], meanwhile = []] = [quiet.get(name), busy.get(name)];
    if (meanwhile.length === 0) return [];
    const [quietMs, busyMs] = [summarize(before).median, summarize(meanwhile).median];
    return [{ name, quietMs, busyMs, count: meanwhile.length }];
  }).sort((a, b) => b.busyMs - a.busyMs);
  const count = (of: (one: typeof asked[number]) => number) =>
    String(asked.filter((one) => of(one) > LONG_MS).length);
  return formatTable([
    { title: "query" },
    { title: "quiet, ms", ...right },
    { title: "at full speed, ms", ...right },
    { title: "ratio", ...right },
    { title: "asked", ...right },
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
