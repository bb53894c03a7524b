import { Command } from "commander";
import { CLONE } from "../../stack/process/clone.ts";
import { sayProgress, sayResult } from "../../stack/output.ts";
import { EXIT, runWorker } from "../../workers/_shared/lifecycle.ts";
import { formatTable } from "../../workers/_shared/table.ts";
import { readSources, testFileOf } from "./broken_build.ts";
import { BROKEN_DATA } from "./data.ts";
import { BROKEN_PROGRAMS } from "./programs.ts";
import { copyTree } from "./tree.ts";
import { tryBuild, type Verdict } from "./trial.ts";

// Each build has its own copy of the code. Most tests spend their time waiting, so two run at the same time.
const PARALLEL_BUILDS = 2;
const COLUMNS = [{ title: "promise" }, { title: "what was broken" }, { title: "test" }];

await runWorker(async ({ args, env, signal, resources }) => {
  const flags = parseFlags(args);
  const tests = await readSources(CLONE, "tests");
  const rows = [...BROKEN_DATA, ...BROKEN_PROGRAMS]
    .map((build) => ({
      build,
      cells: [build.promise, build.breaks, `${testFileOf(tests, build)}: ${build.test}`],
    }))
    .filter(({ cells }) => cells.join(" ").toLowerCase().includes(flags.only.toLowerCase()));
  if (rows.length === 0) {
    sayProgress(`No broken build has "${flags.only}" in its promise, sentence or test`);
    return EXIT.usage;
  }
  if (flags.list) return sayResult(formatTable(COLUMNS, rows.map(({ cells }) => cells)));

  const errors: string[] = [];
  let noticed = 0;
  const waiting = rows.entries();
  const tryNext = async () => {
    const tree = resources.use(
      "copy of the code",
      await copyTree({ JAVA_HOME: env["JAVA_HOME"] }, { signal, onProgress: sayProgress }),
    );
    for (const [index, { build }] of waiting) {
      const began = performance.now();
      const verdict = await tryBuild(tree, build, signal);
      const seconds = Math.round((performance.now() - began) / 1000);
      sayProgress(`${index + 1}/${rows.length} ${sentence(verdict)} (${seconds} s): ${build.breaks}`);
      errors[index] = sentence(verdict);
      if (verdict.kind === "noticed") noticed++;
    }
  };
  await Promise.all(Array.from({ length: Math.min(PARALLEL_BUILDS, rows.length) }, tryNext));
  sayResult(formatTable(
    [...COLUMNS, { title: "error of the test" }],
    rows.map(({ cells }, index) => [...cells, errors[index] ?? ""]),
  ));
  sayResult(`${noticed} of ${rows.length} broken builds were noticed`);
  return noticed === rows.length ? EXIT.ok : EXIT.failed;
});

function sentence(verdict: Verdict): string {
  if (verdict.kind === "passed") return "PASSED: the test did not fail";
  return verdict.kind === "unclear" ? `UNCLEAR: ${verdict.error}` : verdict.error;
}

function parseFlags(args: readonly string[]): { only: string; list: boolean } {
  const command = new Command("broken")
    .description(
      "Breaks each promise in a copy of the code, two at a time, and expects its test to fail.",
    )
    .option("--only <text>", "only the builds with this text in their promise, sentence or test", "")
    .option("--list", "list the builds and run nothing", false)
    .addHelpText(
      "after",
      `
The exit code is 1 if a test passes on its broken build, or fails for another reason than a failed assertion. A build
takes from 5 s to two minutes. The builds are defined in tests/broken/data.ts and tests/broken/programs.ts.

Examples:
  deno task broken
  deno task broken --list
  deno task broken --only 2.3
  deno task broken --only tests/faults/rebalance_test.ts

Needs git, Deno, Java 17 or later and Maven.`,
    )
    .exitOverride()
    .parse([...args], { from: "user" });
  return command.opts<{ only: string; list: boolean }>();
}
