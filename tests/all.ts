/** Every test: both tiers, one after the other, and the sum of what they counted. */
import { Command } from "commander";
import { sayResult } from "../stack/output.ts";
import { EXIT, runWorker } from "../workers/_shared/lifecycle.ts";

const TIERS = ["test", "test:rest"];
/** Deno's closing line: "ok | 120 passed (3 steps) | 0 failed (2m3s)". */
const SUMMARY = /^(?:ok|FAILED) \| (\d+) passed.*? \| (\d+) failed/m;

await runWorker(async ({ args, signal }) => {
  const command = new Command("test:all")
    .description(`Runs ${TIERS.join(" and ")}, and adds up how many tests passed and failed.`)
    .option("--no-check", "leaves out the type check, if `deno task check` has just done it")
    .addHelpText(
      "after",
      '\nExit code 1 unless every test passed. The last line is "N passed, N failed".\n\n' +
        "Examples:\n  deno task test:all\n  DENO_JOBS=3 deno task test:all     so many files at a time",
    )
    .exitOverride()
    .parse([...args], { from: "user" });
  const options = command.opts<{ check: boolean }>().check ? [] : ["--no-check"];
  let passed = 0;
  let failed = 0;
  for (const tier of TIERS) {
    const { code, output } = await run([tier, ...options], signal);
    const [, ...counts] = SUMMARY.exec(output) ?? [];
    const [tierPassed = 0, tierFailed = 0] = counts.map(Number);
    passed += tierPassed;
    // A tier that gave no summary, or failed otherwise, counts as a failure too.
    failed += Math.max(tierFailed, code === 0 && tierPassed > 0 ? 0 : 1);
  }
  sayResult(`${passed} passed, ${failed} failed`);
  return failed === 0 ? EXIT.ok : EXIT.failed;
});

/** Shows the output of a tier while it runs, and returns it without colours. */
async function run(tier: readonly string[], signal: AbortSignal): Promise<{ code: number; output: string }> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["task", "-q", ...tier],
    stdin: "null",
    stdout: "piped",
    signal,
  }).spawn();
  let output = "";
  const decoder = new TextDecoder();
  for await (const bytes of child.stdout) {
    Deno.stdout.writeSync(bytes);
    output += decoder.decode(bytes, { stream: true });
  }
  const { code } = await child.status;
  // deno-lint-ignore no-control-regex -- the colours that Deno writes
  return { code, output: output.replace(/\x1b\[[0-9;]*m/g, "") };
}
