import { formatTable } from "../../workers/_shared/table.ts";
import { summarize } from "../lab/statistics.ts";
import { PARTITIONS } from "../latency/trial.ts";
import { quantile } from "./event_stream.ts";
import type { parseFlags } from "./flags.ts";
import type { Turns } from "./ingest_turns.ts";
import type { InBrowser, Loaded } from "./in_browser.ts";
import type { SteadyRun } from "./steady_run.ts";

export interface Results {
  readonly steady: readonly SteadyRun[];
  readonly turns: Turns;
  readonly inBrowser: InBrowser;
}

const count = (value: number) => Math.round(value).toLocaleString("en");

export function reportOf(
  { steady, turns, inBrowser }: Results,
  flags: ReturnType<typeof parseFlags>,
): string {
  const median = (value: (run: SteadyRun) => number) => summarize(steady.map(value)).median;
  const [alone, beside] = [summarize(turns.alone), summarize(turns.beside)];
  const spread = (values: { spread: number }) => `±${(values.spread * 100).toFixed(0)} %`;
  const paint = (loads: readonly Loaded[]) =>
    summarize(loads.map(({ firstPaintMs }) => firstPaintMs)).median.toFixed(0);
  const bytes = (loads: readonly Loaded[]) =>
    (Math.max(...loads.map(({ bytes }) => bytes)) / 1000).toFixed(0);
  const rows: [figure: string, measured: string, aim: string][] = [
    ["CPU time of the monitor, ms per second", count(median((run) => run.cpuMsPerSecond)), ""],
    ["peak memory of the monitor, MB", count(Math.max(...steady.map((run) => run.peakMb))), ""],
    ["queries of the monitor per second", median((run) => run.queriesPerSecond).toFixed(1), ""],
    ["CPU time of PostgreSQL, ms per second", count(median((run) => run.postgresCpuMsPerSecond)), ""],
    ["kilobytes sent to a viewer per minute", count(median((run) => run.kilobytesPerMinute)), ""],
    ["viewers that were disconnected", count(steady.reduce((sum, { dropped }) => sum + dropped, 0)), "0"],
    [
      "from commit to screen, page Now, ms, p50 / p99",
      delays(steady.flatMap(({ nowMs }) => nowMs)),
      "p99 1,000",
    ],
    [
      "from commit to screen, a customer, ms, p50 / p99",
      delays(steady.flatMap(({ customerMs }) => customerMs)),
      "p99 1,000",
    ],
    ["ingest alone, rows/s", `${count(alone.median)} ${spread(alone)}`, ""],
    ["ingest beside the viewers, rows/s", `${count(beside.median)} ${spread(beside)}`, ""],
    ["the same relative to alone", (beside.median / alone.median).toFixed(2), "0.95"],
    ["a day of 17,280 readings drawn, ms", summarize(inBrowser.drawnMs).median.toFixed(0), "100"],
    ["first paint of the page Now, ms", paint(inBrowser.now), "300"],
    ["first paint of a customer's page, ms", paint(inBrowser.customer), "300"],
    ["page Now with scripts and styles, compressed, KB", bytes(inBrowser.now), "150"],
    ["a customer's page, likewise, KB", bytes(inBrowser.customer), "150"],
  ];
  const table = formatTable([
    { title: "figure" },
    { title: "measured", align: "right" },
    { title: "aim", align: "right" },
  ], rows);
  return `Deno ${Deno.version.deno}, ${navigator.hardwareConcurrency} cores; ${
    count(flags.customers)
  } customers, ` +
    `${count(flags.rate)} readings/s, ${flags.viewers} viewers, ${PARTITIONS} partitions; ` +
    `${flags.runs} runs of ${flags.seconds} s, and of ${count(flags.records)} records at full speed\n` +
    `medians of the runs; peak memory and bytes: maximum; spread: half the distance between minimum and maximum\n\n${table}\n`;
}

function delays(ms: readonly number[]): string {
  return `${count(quantile(ms, 0.5))} / ${count(quantile(ms, 0.99))}`;
}
