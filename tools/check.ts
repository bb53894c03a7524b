/** Everything that is green before a commit, one step after the other, the quickest first. */
import { Command } from "commander";
import { EXIT, runWorker } from "../workers/_shared/lifecycle.ts";

const STEPS: readonly (readonly string[])[] = [
  ["fmt", "--check"],
  ["lint"],
  ["check"],
  ["task", "-q", "dashboards", "--check"],
  ["test", "-q", "-P", "tests/unit", "tests/architecture_test.ts"],
];

await runWorker(async ({ args, signal }) => {
  new Command("check")
    .description(
      "Format, lint, types, the built dashboards, architecture and unit tests; stops at the first that fails.",
    )
    .addHelpText(
      "after",
      "\nExamples:\n  deno task check\n  deno fmt && deno task check     after mending the format",
    )
    .exitOverride()
    .parse([...args], { from: "user" });
  for (const step of STEPS) {
    const { code } = await new Deno.Command(Deno.execPath(), { args: [...step], signal }).spawn().status;
    if (code === 0) continue;
    Deno.stderr.writeSync(new TextEncoder().encode(`\ndeno ${step.join(" ")} failed\n`));
    return EXIT.failed;
  }
});
