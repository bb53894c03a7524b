import { clock, describeFault, type Fault, HEADING } from "./faults/fault.ts";

export interface InjectedFault {
  readonly fault: Fault;
  /** Time since the start of the run; undefined while the fault is active. */
  endedMs: number | undefined;
  /** From the fault's end to the first commit that covers all records that were in the log then. */
  recoveryMs: number | undefined;
}

export interface Counts {
  /** Records that the broker acknowledged. */
  readonly produced: number;
  /** Produce requests without an acknowledgement. Each was repeated. */
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
  /** Exits of consumers that no fault caused directly. */
  readonly unexpectedExits: number;
  /** Records; undefined if a difference ended the run before everything was judged. */
  readonly lost: number | undefined;
  readonly problems: readonly string[];
  /** Peak resident memory of this program, which generates the load too. */
  readonly judgePeakMb: number;
}

export function describeCounts(
  { produced, failedSends, stored, rejected, duplicates, gaps }: Counts,
): string {
  return `produced ${n(produced)} (${n(failedSends)} failed sends), stored ${n(stored)}, ` +
    `rejected ${n(rejected)}, duplicates ${n(duplicates)}, gaps ${n(gaps)}`;
}

export function report(outcome: Outcome): string {
  const { command, elapsedMs, counts, injected, unexpectedExits, lost, problems, judgePeakMb } = outcome;
  const times = injected.flatMap(({ recoveryMs }) => recoveryMs ?? []).sort((a, b) => a - b);
  const recovery = times.length === 0
    ? "none measured"
    : `median ${seconds(median(times))}, longest ${seconds(times.at(-1) ?? 0)}`;
  const twice = problems.filter((problem) => problem.startsWith("stored twice")).length;
  return `# Chaos run

\`deno task chaos\` runs the pipeline under load and injects random faults. Each record that the broker acknowledged must
be stored once, rejected or counted as a duplicate. What the pipeline does in each kind of fault: [faults](faults.md).

This run, on ${navigator.hardwareConcurrency} CPU cores with Deno ${Deno.version.deno}:

    ${command}

| | |
|---|---|
| faults | ${injected.length} in ${clock(elapsedMs)} minutes |
| produced (acknowledged by the broker) | ${n(counts.produced)} |
| failed sends (each was repeated) | ${n(counts.failedSends)} |
| stored | ${n(counts.stored)} |
| rejected | ${n(counts.rejected)} |
| duplicates | ${n(counts.duplicates)} |
| gaps | ${n(counts.gaps)} |
| lost | ${lost === undefined ? "not judged to the end" : n(lost)} |
| stored twice | ${lost === undefined ? "not judged to the end" : twice} |
| differences of any kind | ${problems.length} |
| recovery time after a fault | ${recovery} |
| unexpected exits of consumers | ${unexpectedExits} |
| peak memory of \`deno task chaos\` itself | ${judgePeakMb} MB |

${
    problems.length === 0
      ? ""
      : `## Differences\n\n${problems.map((problem) => `- ${problem}`).join("\n")}\n\n`
  }## Faults

Recovery is the time from the end of a fault to the first commit that covers all records that were in the log then. If
another fault begins before that, its effect is included. Start is in minutes and seconds.

\`\`\`
${HEADING}
${injected.map((one) => `${describeFault(one.fault)}  ${recoveryOf(one)}`).join("\n")}
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

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}

function n(value: number): string {
  return value.toLocaleString("en-US");
}
