/** What a run found, and its report in Markdown. */
import { clock, describeFault, type Fault } from "./faults/fault.ts";

/** One fault as it took place. */
export interface Suffered {
  readonly fault: Fault;
  /** After the begin of the run; undefined while it has not ended. */
  endedMs: number | undefined;
  /** From its end to the first commit that covers all that was in the log at its end; undefined: not yet. */
  recoveryMs: number | undefined;
}

export interface Counts {
  /** Acknowledged by the broker. */
  readonly produced: number;
  /** Sends that were not, and were repeated. */
  readonly failedSends: number;
  readonly stored: number;
  readonly rejected: number;
  readonly duplicates: number;
  readonly gaps: number;
}

export interface Outcome {
  readonly command: string;
  readonly elapsedMs: number;
  readonly counts: Counts;
  readonly suffered: readonly Suffered[];
  /** Times that a consumer ended without being told to. */
  readonly ownEnds: number;
  /** Undefined when the run was cut short: then nothing is said about the whole. */
  readonly lost: number | undefined;
  readonly problems: readonly string[];
  /** Megabytes of resident memory of the program that judges, at most. */
  readonly judgePeakMb: number;
}

export function describeCounts(
  { produced, failedSends, stored, rejected, duplicates, gaps }: Counts,
): string {
  return `produced ${n(produced)} (${n(failedSends)} failed sends), stored ${n(stored)}, ` +
    `rejected ${n(rejected)}, duplicates ${n(duplicates)}, gaps ${n(gaps)}`;
}

/** A page for docs/: what was run, what was found, each fault. */
export function report(outcome: Outcome): string {
  const { command, elapsedMs, counts, suffered, ownEnds, lost, problems, judgePeakMb } = outcome;
  const times = suffered.flatMap(({ recoveryMs }) => recoveryMs ?? []).sort((a, b) => a - b);
  const recovery = times.length === 0
    ? "none measured"
    : `median ${seconds(median(times))}, longest ${seconds(times.at(-1) ?? 0)}`;
  const twice = problems.filter((problem) => problem.startsWith("stored twice")).length;
  return `# Chaos run

    ${command}

| | |
|---|---|
| faults | ${suffered.length} in ${clock(elapsedMs)} minutes |
| produced (acknowledged) | ${n(counts.produced)} |
| sends that failed and were repeated | ${n(counts.failedSends)} |
| stored | ${n(counts.stored)} |
| rejected | ${n(counts.rejected)} |
| duplicates | ${n(counts.duplicates)} |
| gaps | ${n(counts.gaps)} |
| lost | ${lost === undefined ? "not judged to the end" : n(lost)} |
| twice | ${lost === undefined ? "not judged to the end" : twice} |
| differences of any kind | ${problems.length} |
| recovery after a fault | ${recovery} |
| consumers that ended by themselves | ${ownEnds} |
| memory of the judge, at most | ${judgePeakMb} MB |

${
    problems.length === 0
      ? ""
      : `## Differences\n\n${problems.map((problem) => `- ${problem}`).join("\n")}\n\n`
  }## Faults

Start, length, target, harm, and the time from the end of the fault to the first commit that covers what was in the log
then. Where faults overlap, the later ones are in it.

\`\`\`
${suffered.map((one) => `${describeFault(one.fault)}  ${recoveryOf(one)}`).join("\n")}
\`\`\`
`;
}

function recoveryOf({ recoveryMs, endedMs }: Suffered): string {
  if (endedMs === undefined) return "-> did not end";
  return recoveryMs === undefined ? "-> no recovery seen" : `-> ${seconds(recoveryMs)}`;
}

function median(sorted: readonly number[]): number {
  return sorted[Math.floor(sorted.length / 2)] ?? 0;
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}

function n(value: number): string {
  return value.toLocaleString("en-US");
}
