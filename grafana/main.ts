import { Command } from "commander";
import { EXIT, runWorker } from "../workers/_shared/lifecycle.ts";
import { builtFiles } from "./build.ts";

const program = new Command("dashboards")
  .description("Writes grafana/dashboards/*.json and the alert rules in grafana/provisioning/alerting.")
  .option("--check", "write nothing; exit with 1 when a file is out of date", false)
  .addHelpText("after", "\nExamples:\n  deno task dashboards\n  deno task dashboards --check")
  .exitOverride();

await runWorker(async ({ args }) => {
  const { check } = program.parse(args, { from: "user" }).opts<{ check: boolean }>();
  const stale: string[] = [];
  for (const [path, content] of builtFiles()) {
    const file = new URL(path, import.meta.url);
    if (await Deno.readTextFile(file).catch(() => "") === content) continue;
    if (check) stale.push(`grafana/${path} is out of date: run \`deno task dashboards\`\n`);
    else await Deno.writeTextFile(file, content);
  }
  Deno.stderr.writeSync(new TextEncoder().encode(stale.join("")));
  return stale.length === 0 ? EXIT.ok : EXIT.failed;
});
