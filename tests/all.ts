/** Every test, and the sum of what the tiers counted. */
import { Command } from "commander";
import { sayResult } from "../stack/output.ts";
import { EXIT, runWorker } from "../workers/_shared/lifecycle.ts";

/** Tests that mostly wait for time limits of the workers. They use a fifth of a core. */
const LONG_WAITS = "tests/faults/long_waits";
/** One after the other. */
const TIERS = [["task", "-q", "test"], ["task", "-q", "test:rest", `--ignore=${LONG_WAITS}`]];
/** Beside the tiers, one file at a time. */
const BESIDE = ["test", "-q", "-P", LONG_WAITS];
/** Deno's closing line: "ok | 120 passed (3 steps) | 0 failed (2m3s)". */
const SUMMARY = /^(?:ok|FAILED) \| (\d+) passed.*? \| (\d+) failed/m;

await runWorker(async ({ args, signal }) => {
  const command = new Command("test:all")
    .description(
      "Runs the tests of test and test:rest, and adds up how many passed and failed. " +
        `The tests in ${LONG_WAITS} run beside the others, and their output comes last.`,
    )
    .option("--no-check", "does not check types; use it right after `deno task check`")
    .addHelpText(
      "after",
      '\nExit code 1 unless every test passed. The last line is "N passed, N failed".\n\n' +
        "Examples:\n  deno task test:all\n  DENO_JOBS=3 deno task test:all     so many files at a time",
    )
    .exitOverride()
    .parse([...args], { from: "user" });
  const options = command.opts<{ check: boolean }>().check ? [] : ["--no-check"];
  const shownLast: Uint8Array[] = [];
  const beside = run([...BESIDE, ...options], signal, (bytes) => shownLast.push(bytes));
  const counts: Counts[] = [];
  for (const tier of TIERS) counts.push(await run([...tier, ...options], signal, show));
  counts.push(await beside);
  shownLast.forEach(show);
  const passed = counts.reduce((sum, tier) => sum + tier.passed, 0);
  const failed = counts.reduce((sum, tier) => sum + tier.failed, 0);
  sayResult(`${passed} passed, ${failed} failed`);
  return failed === 0 ? EXIT.ok : EXIT.failed;
});

function show(bytes: Uint8Array): void {
  Deno.stdout.writeSync(bytes);
}

interface Counts {
  readonly passed: number;
  readonly failed: number;
}

/** Runs Deno with these arguments, and counts the tests in its output. */
async function run(
  args: readonly string[],
  signal: AbortSignal,
  onOutput: (bytes: Uint8Array) => void,
): Promise<Counts> {
  const child = new Deno.Command(Deno.execPath(), {
    args: [...args],
    stdin: "null",
    stdout: "piped",
    signal,
  }).spawn();
  let output = "";
  const decoder = new TextDecoder();
  for await (const bytes of child.stdout) {
    onOutput(bytes);
    output += decoder.decode(bytes, { stream: true });
  }
  const { code } = await child.status;
  // deno-lint-ignore no-control-regex -- the colours that Deno writes
  const [, ...found] = SUMMARY.exec(output.replace(/\x1b\[[0-9;]*m/g, "")) ?? [];
  const [passed = 0, failed = 0] = found.map(Number);
  // A run that gave no summary, or failed otherwise, counts as a failure too.
  return { passed, failed: Math.max(failed, code === 0 && passed > 0 ? 0 : 1) };
}
