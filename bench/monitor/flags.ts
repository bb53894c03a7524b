import { Command } from "commander";
import { integer, parseSettings } from "../../workers/_shared/env.ts";
import { MAX_CUSTOMERS } from "../lab/fleet.ts";

const PROGRAM = "bench:monitor";

/** @throws UsageError that names every wrong flag */
export function parseFlags(args: readonly string[]) {
  const command = new Command(PROGRAM)
    .description(
      "Measures the monitor page. First, viewers watch while readings come at a steady rate. Then a consumer stores a log " +
        "at full speed, by turns alone and beside a monitor with viewers. At last, Chromium loads and draws the pages.",
    )
    .option("--customers <n>", "number of customers", "100000")
    .option("--rate <n>", "readings per second of the steady load", "20000")
    .option("--viewers <n>", "number of open event streams, at most 512", "200")
    .option("--seconds <n>", "duration of each steady run", "30")
    .option("--records <n>", "number of records that each run at full speed stores", "2000000")
    .option("--runs <n>", "number of runs of each kind", "3")
    .addHelpText(
      "after",
      "\nStarts its own Kafka and PostgreSQL. Needs Chromium. Writes bench/results/monitor.txt.\n\n" +
        "Example:\n  deno task bench:monitor --seconds 10 --records 500000 --runs 1",
    )
    .exitOverride();
  const settings = {
    customers: integer({ min: 100, max: MAX_CUSTOMERS, unit: "customers" }),
    rate: integer({ min: 1, max: 1_000_000, unit: "readings per second" }),
    viewers: integer({ min: 10, max: 512, unit: "viewers" }),
    seconds: integer({ min: 1, max: 3_600, unit: "seconds" }),
    records: integer({ min: 1_000, max: 100_000_000, unit: "records" }),
    runs: integer({ min: 1, max: 100, unit: "runs" }),
  };
  const values = command.parse([...args], { from: "user" }).opts();
  return parseSettings(PROGRAM, settings, values, { label: (name) => `--${name}` });
}
