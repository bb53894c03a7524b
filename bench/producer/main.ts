import { join } from "node:path";
import { Command } from "commander";
import { sayProgress as say } from "../../stack/output.ts";
import { installTool } from "../../stack/kafka/kafka_tools.ts";
import { integer, parseSettings } from "../../workers/_shared/env.ts";
import { runWorker } from "../../workers/_shared/lifecycle.ts";
import { startServers } from "../lab/servers.ts";
import { backfill, type Contender, meanBytes, perfTest, replay, writeRecording } from "./contenders.ts";
import type { Run } from "./lab.ts";
import { report } from "./report.ts";

const KEYS = 1_000;

await runWorker(async ({ args, signal, resources }) => {
  const { records, recorded, runs, partitions } = parseFlags(args);
  const tool = await installTool("ProducerPerformance", { signal, onProgress: say });
  const stack = await startServers({ signal, resources }, { services: ["kafka"] });
  const recording = join(stack.home, "readings.csv");
  await writeRecording(recording, recorded);

  const bytes = meanBytes();
  const yardstick = perfTest(tool, records, bytes, 0);
  const contenders: Contender[] = [
    yardstick,
    perfTest(tool, records, bytes, KEYS),
    backfill(records),
    replay(recording, recorded),
  ];
  const took = new Map<string, Run[]>(contenders.map(({ name }) => [name, []]));
  // The contenders alternate, so that a slow minute of the machine does not affect only one of them.
  for (let runNumber = 1; runNumber <= runs; runNumber++) {
    for (const { name, run } of contenders) {
      const result = await run({ stack, partitions, signal });
      say(`${runNumber}/${runs} ${name}: ${Math.round(result.recordsPerSecond)} records/s`);
      took.get(name)?.push(result);
    }
  }
  await report(took, { bytes, partitions, yardstick: yardstick.name });
});

function parseFlags(args: readonly string[]) {
  const command = new Command("bench:producer")
    .description(
      "Measures how many records per second the producer publishes, compared with Kafka's kafka-producer-perf-test.",
    )
    .option("--records <n>", "number of records of a run", "5000000")
    .option("--recorded <n>", "number of records in the file that is published as a recording", "1000000")
    .option("--runs <n>", "number of runs of each contender", "3")
    .option("--partitions <n>", "number of partitions of the topic", "6")
    .addHelpText("after", "\nExample:\n  deno task bench:producer --records 1000000 --runs 1")
    .exitOverride();
  const settings = {
    records: integer({ min: 1_000, max: 1_000_000_000, unit: "records" }),
    recorded: integer({ min: 1_000, max: 1_000_000_000, unit: "records" }),
    runs: integer({ min: 1, max: 100, unit: "runs" }),
    partitions: integer({ min: 1, max: 1_000, unit: "partitions" }),
  };
  const values = command.parse([...args], { from: "user" }).opts();
  return parseSettings("bench:producer", settings, values, { label: (name) => `--${name}` });
}
