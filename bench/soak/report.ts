import { join } from "node:path";
import { formatTable } from "../../workers/_shared/table.ts";
import { lineChart } from "../charts/line_chart.ts";
import type { ProcessSample } from "../lab/process_sample.ts";
import type { SoakFlags } from "./flags.ts";

export interface Sample extends ProcessSample {
  readonly seconds: number;
  /** Records that the ledger accounts for. */
  readonly stored: number;
  readonly waiting: number;
  readonly lagSeconds: number;
  /** Disk space of public.ingest_changes, including deleted rows. */
  readonly changesMb: number;
}

/** The chart shows the mean rate over this time, because one commit adds thousands of rows at once. */
const RATE_SECONDS = 5;

export interface Measured {
  readonly peakMb: number;
  /** Minimum after the first quarter of the run. */
  readonly fewestWaiting: number;
}

export async function report(samples: readonly Sample[], flags: SoakFlags): Promise<Measured> {
  const memory = samples.map(({ residentKb }) => residentKb / 1024);
  const peakMb = Math.max(0, ...samples.slice(-1).map(({ peakKb }) => peakKb / 1024));
  const waiting = samples.map((sample) => sample.waiting);
  const fewestWaiting = Math.min(...waiting.slice(Math.ceil(samples.length / 4)));
  const rates = ratesOf(samples);
  const text = summary(samples, memory, { peakMb, fewestWaiting }, flags);
  Deno.stdout.writeSync(new TextEncoder().encode(text));
  await Deno.mkdir(flags.out, { recursive: true });
  await Deno.writeTextFile(join(flags.out, "soak.txt"), text);
  await Deno.writeTextFile(join(flags.out, "soak.csv"), csv(samples, rates));
  const minutes = samples.map(({ seconds }) => seconds / 60);
  await Deno.writeTextFile(
    join(flags.out, "soak.svg"),
    lineChart(
      `One consumer with a backlog of at least ${fewestWaiting.toLocaleString("en")} records`,
      minutes,
      [
        {
          title: "Resident memory, MB",
          values: memory,
          limit: { value: flags.limit, name: `${flags.limit} MB` },
        },
        { title: "Records stored per second", values: rates },
        { title: "Records waiting", values: waiting },
      ],
    ),
  );
  return { peakMb, fewestWaiting };
}

function summary(
  samples: readonly Sample[],
  memory: readonly number[],
  { peakMb, fewestWaiting }: Measured,
  flags: SoakFlags,
): string {
  const [first, last] = [samples[0], samples.at(-1)];
  const quarter = Math.ceil(samples.length / 4);
  const seconds = (last?.seconds ?? 0) - (first?.seconds ?? 0);
  const range = (of: (sample: Sample) => number) => {
    const values = samples.slice(quarter).map(of);
    return `${Math.min(...values)} to ${Math.max(...values)}`;
  };
  const rows = [
    ["minutes", (seconds / 60).toFixed(1)],
    ["records stored", String(last?.stored ?? 0)],
    ["records per second, mean", String(Math.round(((last?.stored ?? 0) - (first?.stored ?? 0)) / seconds))],
    ["records waiting, median", String(median(samples.map(({ waiting }) => waiting)))],
    ["records waiting, minimum after the first quarter", String(fewestWaiting)],
    ["lag of the rollup, maximum, s", Math.max(...samples.map((sample) => sample.lagSeconds)).toFixed(1)],
    ["change feed on disk, maximum, MB", Math.max(...samples.map((sample) => sample.changesMb)).toFixed(0)],
    ["peak resident memory, MB", peakMb.toFixed(0)],
    ["resident memory, median of the first quarter, MB", median(memory.slice(0, quarter)).toFixed(0)],
    ["resident memory, median of the last quarter, MB", median(memory.slice(-quarter)).toFixed(0)],
    [
      "resident memory, slope after the first quarter, MB per hour",
      slopePerHour(samples.slice(quarter)).toFixed(1),
    ],
    ["file descriptors after the first quarter", range(({ descriptors }) => descriptors)],
    ["sockets after the first quarter", range(({ sockets }) => sockets)],
    ["threads after the first quarter", range(({ threads }) => threads)],
  ];
  const machine = `Deno ${Deno.version.deno}, ${navigator.hardwareConcurrency} cores; ` +
    `intended backlog ${flags.backlog}, ${flags.partitions} partitions`;
  return `${machine}\n\n${formatTable([{ title: "what" }, { title: "figure", align: "right" }], rows)}\n`;
}

function csv(samples: readonly Sample[], rates: readonly number[]): string {
  const lines = samples.map((sample, index) => {
    const { seconds, residentKb, peakKb, descriptors, sockets, threads, stored, waiting } = sample;
    return [seconds.toFixed(1), residentKb, peakKb, descriptors, sockets, threads, stored, waiting]
      .concat(Math.round(rates[index] ?? 0), sample.lagSeconds.toFixed(1), sample.changesMb.toFixed(1))
      .join();
  });
  return `seconds,resident_kb,peak_kb,descriptors,sockets,threads,stored,waiting,per_second,lag_seconds,changes_mb\n${
    lines.join("\n")
  }\n`;
}

function ratesOf(samples: readonly Sample[]): number[] {
  return samples.map((sample, index) => {
    const before = samples[Math.max(0, index - RATE_SECONDS)] ?? sample;
    return before === sample ? 0 : (sample.stored - before.stored) / (sample.seconds - before.seconds);
  });
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? NaN;
}

function slopePerHour(samples: readonly Sample[]): number {
  const mean = (of: (sample: Sample) => number) =>
    samples.reduce((sum, sample) => sum + of(sample), 0) / samples.length;
  const [middle, level] = [mean(({ seconds }) => seconds), mean(({ residentKb }) => residentKb)];
  const along = mean(({ seconds }) => (seconds - middle) ** 2);
  const both = mean(({ seconds, residentKb }) => (seconds - middle) * (residentKb - level));
  return both / along * 3600 / 1024;
}
