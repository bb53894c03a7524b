import { Command } from "commander";
import { sayProgress as say } from "../../stack/output.ts";
import { integer, parseSettings } from "../../workers/_shared/env.ts";
import { runWorker } from "../../workers/_shared/lifecycle.ts";
import { startServers } from "../lab/servers.ts";
import { addShapeOptions, SHAPE_FLAGS, shapesOf } from "../lab/shapes.ts";
import { PEERS } from "../peers/mod.ts";
import { copyIntoHeartbeats, copyIntoReference } from "./copy.ts";
import { heartbeatConsumer } from "./consumer.ts";
import { type Contender, prepare, type Run } from "./lab.ts";
import { peerContender } from "./peer.ts";
import { report } from "./report.ts";

await runWorker(async ({ args, signal, resources }) => {
  const flags = parseFlags(args);
  const peers = flags.peers ? Object.values(PEERS) : [];
  for (const peer of peers) await peer.prepare({ onProgress: say });
  const contenders: Contender[] = [
    copyIntoReference,
    copyIntoHeartbeats,
    heartbeatConsumer,
    ...peers.map(peerContender),
  ];
  const stack = await startServers({ signal, resources });
  for (const shape of shapesOf(flags)) {
    const lab = await prepare(stack, { ...flags, ...shape, resources });
    const runs = new Map<string, Run[]>(contenders.map(({ name }) => [name, []]));
    // The contenders alternate, so that a slow minute of the machine does not affect only one of them.
    for (let runNumber = 1; runNumber <= flags.runs; runNumber++) {
      for (const { name, run } of contenders) {
        if (signal.aborted) return;
        const took = await run(lab);
        say(`${runNumber}/${flags.runs} ${name}: ${Math.round(took.rowsPerSecond)} rows/s`);
        runs.get(name)?.push(took);
      }
    }
    await report(runs, lab, shape, copyIntoReference.name);
  }
});

function parseFlags(args: readonly string[]) {
  const options = new Command("bench:ingest")
    .description(
      "Measures how many readings per second the consumer stores, and compares this with COPY of a file.",
    )
    .option("--records <n>", "number of records that each contender stores", "5000000")
    .option("--runs <n>", "number of runs of each contender", "3");
  const command = addShapeOptions(options, "a table", "5,60")
    .option("--partitions <n>", "number of partitions of the topic", "6")
    .option(
      "--peers",
      "also measure Telegraf and a Python consumer; the first run builds them (see bench/peers)",
    )
    .addHelpText(
      "after",
      "\nExample:\n  deno task bench:ingest --records 1000000 --runs 1 --customers 1000000 --interval 5",
    )
    .exitOverride();
  const settings = {
    ...SHAPE_FLAGS,
    records: integer({ min: 1_000, max: 100_000_000, unit: "records" }),
    runs: integer({ min: 1, max: 100, unit: "runs" }),
    partitions: integer({ min: 1, max: 64, unit: "partitions" }),
  };
  const { peers = false, ...values } = command.parse([...args], { from: "user" }).opts();
  return {
    ...parseSettings("bench:ingest", settings, values, { label: (name) => `--${name}` }),
    peers: Boolean(peers),
  };
}
