import { describeFault, type Fault, HEADING } from "./faults/fault.ts";
import type { Judgement } from "./judge/everything.ts";

export interface InjectedFault {
  readonly fault: Fault;
  /** Time since the start of the run; undefined while the fault is active. */
  endedMs: number | undefined;
  /** Time from the fault's end to the first commit that covers all records that were in the log at its end. */
  recoveryMs: number | undefined;
}

export interface Counts {
  /** Number of records that the broker acknowledged. */
  readonly produced: number;
  /** Number of sends without an acknowledgement. Each was repeated. */
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
  readonly injected: readonly InjectedFault[];
  /** Number of exits that no fault caused directly, of all consumers. */
  readonly unexpectedExits: number;
  /** Undefined if a difference ended the run before everything was judged. */
  readonly judgement: Pick<Judgement, "lost" | "storedTwice"> | undefined;
  readonly problems: readonly string[];
  /** Peak resident memory of this program, which also generates the load. */
  readonly judgePeakMb: number;
}

export function describeCounts(
  { produced, failedSends, stored, rejected, duplicates, gaps }: Counts,
): string {
  return `produced ${n(produced)} (${n(failedSends)} failed sends), stored ${n(stored)}, ` +
    `rejected ${n(rejected)}, duplicates ${n(duplicates)}, gaps ${n(gaps)}`;
}

export function report(outcome: Outcome): string {
  const { command, elapsedMs, counts, injected, unexpectedExits, judgement, problems, judgePeakMb } = outcome;
  const times = injected.flatMap(({ recoveryMs }) => recoveryMs ?? []).sort((a, b) => a - b);
  const recovery = times.length === 0
    ? "none measured"
    : `median ${seconds(median(times))}, longest ${seconds(times.at(-1) ?? 0)}`;
  const judged = (count: number | undefined) => count === undefined ? "not judged to the end" : n(count);
  return `# Chaos run

\`deno task chaos\` runs the pipeline under load and injects random faults. Each record that the broker acknowledged must
be stored once, rejected or counted as a duplicate. If a table or a program contradicts this, the run reports a difference
and ends. [Faults](faults.md) describes what the pipeline does in each kind of fault.

This run, on ${navigator.hardwareConcurrency} CPU cores with Deno ${Deno.version.deno}:

    ${command}

| | |
|---|---|
| faults | ${injected.length} in ${minutesAndSeconds(elapsedMs)} |
| produced (acknowledged by the broker) | ${n(counts.produced)} |
| failed sends (each was repeated) | ${n(counts.failedSends)} |
| stored | ${n(counts.stored)} |
| rejected | ${n(counts.rejected)} |
| duplicates | ${n(counts.duplicates)} |
| gaps | ${n(counts.gaps)} |
| lost | ${judged(judgement?.lost)} |
| stored twice | ${judged(judgement?.storedTwice)} |
| reported differences | ${problems.length} |
| recovery time after a fault | ${recovery} |
| unexpected exits of consumers | ${unexpectedExits} |
| peak memory of \`deno task chaos\` itself | ${judgePeakMb} MB |

${
    problems.length === 0
      ? ""
      : `## Differences\n\n${problems.map((problem) => `- ${problem}`).join("\n")}\n\n`
  }## Faults

The recovery time runs from the end of a fault to the first commit that covers all records that were in the log at its
end. If another fault begins before that commit, its effect is included. The column "start" is in minutes and seconds.

\`\`\`
${HEADING}
${injected.map((entry) => `${describeFault(entry.fault)}  ${recoveryOf(entry)}`).join("\n")}
\`\`\`
`;
}

function recoveryOf({ recoveryMs, endedMs }: InjectedFault): string {
  if (endedMs === undefined) return "-> not ended";
  return recoveryMs === undefined ? "-> not recovered" : `-> ${seconds(recoveryMs)}`;
}

function median(sorted: readonly number[]): number {
  return sorted[Math.floor(sorted.length / 2)] ?? 0;
}

function minutesAndSeconds(ms: number): string {
  const rounded = Math.round(ms / 1000);
  return `${Math.floor(rounded / 60)} min ${rounded % 60} s`;
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}

function n(value: number): string {
  return value.toLocaleString("en-US");
}
