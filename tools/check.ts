import { Command } from "commander";
import { EXIT, runWorker } from "../workers/_shared/lifecycle.ts";

/** The fastest steps come first. */
const STATIC: readonly (readonly string[])[] = [
  ["fmt", "--check"],
  ["lint"],
  ["check"],
  ["task", "-q", "dashboards", "--check"],
];
/** The step `check` has checked the types of the tests. */
const TESTS = ["test", "-q", "-P", "--no-check", "--parallel", "tests/unit", "tests/architecture_test.ts"];

await runWorker(async ({ args, signal }) => {
  const command = new Command("check")
    .description(
      "Checks format, lint, types and the generated dashboards, and runs the architecture and unit tests. Stops at the first failure.",
    )
    .option("--static", "leaves out the tests")
    .addHelpText(
      "after",
      "\nExamples:\n  deno task check\n  deno fmt && deno task check     corrects the format first",
    )
    .exitOverride()
    .parse([...args], { from: "user" });
  const steps = command.opts<{ static?: true }>().static === true ? STATIC : [...STATIC, TESTS];
  for (const step of steps) {
    const { code } = await new Deno.Command(Deno.execPath(), { args: [...step], signal }).spawn().status;
    if (code === 0) continue;
    Deno.stderr.writeSync(new TextEncoder().encode(`\ndeno ${step.join(" ")} failed\n`));
    return EXIT.failed;
  }
});
