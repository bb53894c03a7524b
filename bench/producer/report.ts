import { formatTable } from "../../workers/_shared/table.ts";
import { summarize } from "../lab/statistics.ts";
import type { Run } from "./lab.ts";

const MILLION = 1_000_000;

export interface Conditions {
  /** Mean size of a record's key and value. */
  readonly bytes: number;
  readonly partitions: number;
  readonly yardstick: string;
}

export async function report(
  runs: ReadonlyMap<string, readonly Run[]>,
  { bytes, partitions, yardstick }: Conditions,
): Promise<void> {
  const rateOf = (results: readonly Run[]) =>
    summarize(results.map(({ recordsPerSecond }) => recordsPerSecond));
  const most = rateOf(runs.get(yardstick) ?? []).median;
  const rows = [...runs].map(([name, results]) => {
    const rate = rateOf(results);
    const median = (of: (run: Run) => number) => summarize(results.map(of)).median;
    const perMillion = (of: (run: Run) => number) =>
      median((run) => of(run) / run.records * MILLION).toFixed(2);
    return [
      name,
      (results[0]?.records ?? 0).toLocaleString("en"),
      Math.round(rate.median).toLocaleString("en"),
      `±${(rate.spread * 100).toFixed(0)} %`,
      (rate.median / most).toFixed(2),
      median(({ seconds }) => seconds).toFixed(1),
      perMillion(({ cpu }) => cpu.producer),
      perMillion(({ cpu }) => cpu.kafka),
      Math.max(...results.map(({ peakMb }) => peakMb ?? 0)).toFixed(0),
    ];
  });
  const right = { align: "right" as const };
  const table = formatTable([
    { title: "contender" },
    { title: "records", ...right },
    { title: "records/s", ...right },
    { title: "spread", ...right },
    { title: "ratio", ...right },
    { title: "total s", ...right },
    { title: "CPU s/million", ...right },
    { title: "Kafka", ...right },
    { title: "peak MB", ...right },
  ], rows);
  const runCount = Math.max(...[...runs.values()].map((list) => list.length));
  const text =
    `Deno ${Deno.version.deno}, ${navigator.hardwareConcurrency} cores; ${bytes} bytes of key and value, ` +
    `${partitions} partitions, acks=all, median of ${runCount} runs\n\n${table}\n`;
  Deno.stdout.writeSync(new TextEncoder().encode(text));
  const folder = new URL("../results/", import.meta.url);
  await Deno.mkdir(folder, { recursive: true });
  await Deno.writeTextFile(new URL("producer.txt", folder), text);
}
