/** What the contenders did, as a table. */
import { formatTable } from "../../workers/_shared/table.ts";
import { keepSection } from "../lab/sections.ts";
import { type Shape, titleOf } from "../lab/shapes.ts";
import { summarize } from "../lab/statistics.ts";
import type { Lab, Run } from "./lab.ts";

const MILLION = 1_000_000;

export async function report(
  runs: ReadonlyMap<string, readonly Run[]>,
  { log }: Lab,
  shape: Shape,
  yardstick: string,
): Promise<void> {
  const rateOf = (one: readonly Run[]) => summarize(one.map(({ rowsPerSecond }) => rowsPerSecond));
  const yardsticks = (runs.get(yardstick) ?? []).map(({ rowsPerSecond }) => rowsPerSecond);
  // To the yardstick of the same turn: the machine is not as fast in each of them.
  const ratioOf = (one: readonly Run[]) =>
    summarize(one.map(({ rowsPerSecond }, turn) => rowsPerSecond / (yardsticks[turn] ?? NaN))).median;
  const rows = [...runs].map(([name, one]) => {
    const rate = rateOf(one);
    const cpu = (of: (run: Run) => number) => summarize(one.map(of)).median / log.records * MILLION;
    const stored = summarize(one.map(({ storedPerSecond }) => storedPerSecond)).median;
    const lag = Math.max(...one.map(({ lagSeconds }) => lagSeconds));
    const peaks = one.map(({ peakMb }) => peakMb ?? 0);
    return [
      name,
      Math.round(rate.median).toLocaleString("en"),
      `±${(rate.spread * 100).toFixed(0)} %`,
      ratioOf(one).toFixed(2),
      lag === 0 ? "" : Math.round(stored).toLocaleString("en"),
      lag === 0 ? "" : lag.toFixed(1),
      cpu(({ cpu }) => cpu.worker + cpu.postgres).toFixed(1),
      cpu(({ cpu }) => cpu.worker).toFixed(1),
      cpu(({ cpu }) => cpu.postgres).toFixed(1),
      cpu(({ cpu }) => cpu.kafka).toFixed(1),
      Math.max(...peaks) === 0 ? "" : Math.max(...peaks).toFixed(0),
    ];
  });
  const titles = ["contender", "rows/s", "spread", "ratio", "stored/s", "most lag s"]
    .concat("CPU s/million", "worker", "PostgreSQL", "Kafka", "peak MB");
  const table = formatTable(
    titles.map((title, index) => ({ title, align: index === 0 ? "left" : "right" })),
    rows,
  );
  const turns = Math.max(...[...runs.values()].map((one) => one.length));
  const text =
    `Deno ${Deno.version.deno}, ${navigator.hardwareConcurrency} cores; ${log.records} records, ${log.partitions} ` +
    `partitions, median of ${turns} runs; rows/s and CPU until the rollup stands at the last offset, stored/s until all ` +
    `rows do\n\n${table}\n`;
  const title = titleOf(shape);
  Deno.stdout.writeSync(new TextEncoder().encode(`${title}\n${text}\n`));
  await keepSection("ingest.txt", title, text);
}
