import { Command } from "commander";
import { choice, integer, parseSettings } from "../../workers/_shared/env.ts";
import { runWorker } from "../../workers/_shared/lifecycle.ts";
import { replaceSection } from "../lab/sections.ts";
import { startServers } from "../lab/servers.ts";
import { compareGroups } from "./groups.ts";
import { compareCustomers, comparePartitions } from "./variants.ts";
import { measureStorage } from "./storage.ts";
import type { Trial } from "./trial.ts";

const PARTS = {
  groups: { title: "two consumers against one", measure: compareGroups },
  partitions: { title: "cost of a record by number of partitions", measure: comparePartitions },
  customers: { title: "cost of a record by number of customers", measure: compareCustomers },
  storage: { title: "bytes of a reading", measure: measureStorage },
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
    await replaceSection("scale.txt", title, table);
  }
});

function parseFlags(args: readonly string[]) {
  const command = new Command("bench:scale")
    .description(
      "Measures how costs and throughput scale. The parts that do not run keep their results in the file.",
    )
    .option("--only <part>", `run only this part: ${Object.keys(PARTS).join(", ")}, or all`, "all")
    .option("--runs <n>", "number of runs of each variant", "3")
    .option("--records <n>", "number of records that each run stores, except in groups", "2000000")
    .option("--share <n>", "in groups: percent of a core that each consumer may use", "10")
    .option("--seconds <n>", "in groups: duration of the measurement after the warm-up", "20")
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
