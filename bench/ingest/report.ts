import { formatTable } from "../../workers/_shared/table.ts";
import { replaceSection } from "../lab/sections.ts";
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
  const rateOf = (results: readonly Run[]) => summarize(results.map(({ rowsPerSecond }) => rowsPerSecond));
  const yardsticks = (runs.get(yardstick) ?? []).map(({ rowsPerSecond }) => rowsPerSecond);
  // Compares run N with run N of the yardstick, because the speed of the machine changes over time.
  const ratioOf = (results: readonly Run[]) =>
    summarize(results.map(({ rowsPerSecond }, index) => rowsPerSecond / (yardsticks[index] ?? NaN))).median;
  const rows = [...runs].map(([name, results]) => {
    const rate = rateOf(results);
    const cpu = (of: (run: Run) => number) => summarize(results.map(of)).median / log.records * MILLION;
    const stored = summarize(results.map(({ storedPerSecond }) => storedPerSecond)).median;
    const lag = Math.max(...results.map(({ lagSeconds }) => lagSeconds));
    const peaks = results.map(({ peakMb }) => peakMb ?? 0);
    return [
      name,
      Math.round(rate.median).toLocaleString("en"),
      `±${(rate.spread * 100).toFixed(0)} %`,
      ratioOf(results).toFixed(2),
      lag === 0 ? "" : Math.round(stored).toLocaleString("en"),
      lag === 0 ? "" : lag.toFixed(1),
      cpu(({ cpu }) => cpu.worker + cpu.postgres).toFixed(1),
      cpu(({ cpu }) => cpu.worker).toFixed(1),
      cpu(({ cpu }) => cpu.postgres).toFixed(1),
      cpu(({ cpu }) => cpu.kafka).toFixed(1),
      Math.max(...peaks) === 0 ? "" : Math.max(...peaks).toFixed(0),
    ];
  });
  const titles = ["contender", "rows/s", "spread", "ratio", "stored/s", "max lag s"]
    .concat("CPU s/million", "worker", "PostgreSQL", "Kafka", "peak MB");
  const table = formatTable(
    titles.map((title, index) => ({ title, align: index === 0 ? "left" : "right" })),
    rows,
  );
  const runCount = Math.max(...[...runs.values()].map((list) => list.length));
  const text =
    `Deno ${Deno.version.deno}, ${navigator.hardwareConcurrency} cores; ${log.records} records, ${log.partitions} ` +
    `partitions, median of ${runCount} runs; rows/s and CPU until the rollup has processed the last row, stored/s until ` +
    `the last row is stored\n\n${table}\n`;
  const title = titleOf(shape);
  Deno.stdout.writeSync(new TextEncoder().encode(`${title}\n${text}\n`));
  await replaceSection("ingest.txt", title, text);
}
