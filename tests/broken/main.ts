/** Breaks each promise in a copy of the code, one after the other, and expects the test that holds it to fail. */
import { Command } from "commander";
import { sayProgress, sayResult } from "../../stack/output.ts";
import { EXIT, runWorker } from "../../workers/_shared/lifecycle.ts";
import { formatTable } from "../../workers/_shared/table.ts";
import type { BrokenBuild } from "./broken_build.ts";
import { brokenBuilds } from "./mod.ts";
import { copyTree } from "./tree.ts";
import { tryBuild, type Verdict } from "./trial.ts";

interface Row extends BrokenBuild {
  readonly area: string;
}

const COLUMNS = [{ title: "area" }, { title: "mode" }, { title: "what was broken" }, { title: "test" }];

await runWorker(async ({ args, env, signal, resources }) => {
  const flags = parseFlags(args);
  const rows: Row[] = (await brokenBuilds())
    .flatMap(({ name: area, builds }) => builds.map((build) => ({ area, ...build })))
    .filter((row) => textOf(row).toLowerCase().includes(flags.only.toLowerCase()));
  if (rows.length === 0) {
    sayProgress(`no broken build has "${flags.only}" in its area, mode, sentence or test`);
    return EXIT.usage;
  }
  if (flags.list) return sayResult(formatTable(COLUMNS, rows.map((row) => cells(row))));

  const tree = resources.use(
    "copy of the code",
    await copyTree({ JAVA_HOME: env["JAVA_HOME"] }, { signal, onProgress: sayProgress }),
  );
  const verdicts: Verdict[] = [];
  for (const [index, row] of rows.entries()) {
    const began = performance.now();
    const verdict = await tryBuild(tree, row, signal);
    const seconds = Math.round((performance.now() - began) / 1000);
    sayProgress(`${index + 1}/${rows.length} ${sentence(verdict)} (${seconds} s): ${row.breaks}`);
    verdicts.push(verdict);
  }
  sayResult(formatTable(
    [...COLUMNS, { title: "what it said" }],
    rows.map((row, index) => [...cells(row), sentence(verdicts[index])]),
  ));
  const noticed = verdicts.filter(({ kind }) => kind === "noticed").length;
  sayResult(`${noticed} of ${rows.length} broken builds were noticed`);
  return noticed === rows.length ? EXIT.ok : EXIT.failed;
});

function cells({ area, mode, breaks, test }: Row): string[] {
  return [area, mode?.toString() ?? "", breaks, `${test.file}: ${test.name}`];
}

function textOf({ area, mode, breaks, test }: Row): string {
  return `${area} ${mode === undefined ? "" : `mode ${mode} `}${breaks} ${test.file} ${test.name}`;
}

function sentence(verdict: Verdict | undefined): string {
  if (verdict === undefined) return "not run";
  if (verdict.kind === "passed") return "PASSED: its test does not notice";
  return verdict.kind === "unclear" ? `UNCLEAR: ${verdict.said}` : verdict.said;
}

function parseFlags(args: readonly string[]): { only: string; list: boolean } {
  const command = new Command("broken")
    .description(
      "Breaks each promise in a copy of the code, one after the other, and expects the test that holds it to fail.",
    )
    .option("--only <text>", "those that have this text in their area, mode, sentence or test", "")
    .option("--list", "only lists them", false)
    .addHelpText(
      "after",
      `
Exit code 1 when a test passes on its broken build, or fails of anything but a missed fact. A build takes from 10 s to
two minutes, since most tests wait a while for what never comes. The broken builds are data: tests/broken/*.ts.

Examples:
  deno task broken
  deno task broken --list
  deno task broken --only "mode 3 "
  deno task broken --only tests/faults/outage_test.ts

Needs git, and what the tests need.`,
    )
    .exitOverride()
    .parse([...args], { from: "user" });
  return command.opts<{ only: string; list: boolean }>();
}
