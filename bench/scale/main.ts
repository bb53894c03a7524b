/** How the pipeline grows: two consumers against one, what a record costs by partitions and customers, what a reading takes. */
import { Command } from "commander";
import { choice, integer, parseSettings } from "../../workers/_shared/env.ts";
import { runWorker } from "../../workers/_shared/lifecycle.ts";
import { keepSection } from "../lab/sections.ts";
import { startServers } from "../lab/servers.ts";
import { compareGroups } from "./groups.ts";
import { compareCustomers, comparePartitions } from "./shapes.ts";
import { measureStorage } from "./storage.ts";
import type { Trial } from "./trial.ts";

const PARTS = {
  groups: { title: "two consumers against one", measure: compareGroups },
  partitions: { title: "what a record costs, by partitions", measure: comparePartitions },
  customers: { title: "what a record costs, by customers", measure: compareCustomers },
  storage: { title: "what a reading takes", measure: measureStorage },
};

await runWorker(async ({ args, signal, resources }) => {
  const flags = parseFlags(args);
  const stack = await startServers({ signal, resources });
  const trial: Trial = { ...flags, stack, signal, resources };
  for (const [name, { title, measure }] of Object.entries(PARTS)) {
    if (flags.only !== "all" && flags.only !== name) continue;
    const table = await measure(trial);
    if (signal.aborted) return;
    Deno.stdout.writeSync(new TextEncoder().encode(`${table}\n\n`));
    await keepSection("scale.txt", title, table);
  }
});

function parseFlags(args: readonly string[]) {
  const command = new Command("bench:scale")
    .description(
      "Measures how the pipeline grows. A part that does not run keeps what it said the last time.",
    )
    .option("--only <part>", `${Object.keys(PARTS).join(", ")}, or all of them`, "all")
    .option("--runs <n>", "of each, by turns", "3")
    .option("--records <n>", "that each run stores, but in groups", "2000000")
    .option("--share <n>", "percent of a core that each consumer of groups may use", "10")
    .option("--seconds <n>", "that each run of groups is watched, once warm", "20")
    .addHelpText("after", "\nExample:\n  deno task bench:scale --only groups --share 15")
    .exitOverride();
  const settings = {
    only: choice(["all", "groups", "partitions", "customers", "storage"], "all"),
    runs: integer({ min: 1, max: 100, unit: "runs" }),
    records: integer({ min: 1_000_000, max: 100_000_000, unit: "records" }),
    share: integer({ min: 5, max: 100, unit: "percent" }),
    seconds: integer({ min: 1, max: 600, unit: "seconds" }),
  };
  const values = command.parse([...args], { from: "user" }).opts();
  return parseSettings("bench:scale", settings, values, { label: (name) => `--${name}` });
}
