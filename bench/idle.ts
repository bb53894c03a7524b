import { Command } from "commander";
import { createPlace } from "../lab/place.ts";
import { sleep } from "../workers/_shared/backoff.ts";
import { runWorker } from "../workers/_shared/lifecycle.ts";
import { formatTable } from "../workers/_shared/table.ts";
import { cpuSeconds } from "./lab/cpu_time.ts";
import { startServers } from "./lab/servers.ts";

const PARTITIONS = 6;
/** After this time, just-in-time compilation is done. */
const SETTLE_MS = 30_000;
const WATCH_MS = 60_000;

await runWorker(async ({ args, resources, signal }) => {
  new Command("bench:idle")
    .description(
      "Measures the CPU time that an idle consumer uses in one minute. The minute begins 30 s after the consumer " +
        "has opened its first partition.",
    )
    .addHelpText(
      "after",
      "\nStarts its own Kafka and PostgreSQL. Writes bench/results/idle.txt.\n\nExample: deno task bench:idle",
    )
    .exitOverride()
    .parse([...args], { from: "user" });
  const stack = await startServers({ signal, resources });
  const place = resources.use(
    "topic and database",
    await createPlace(stack, "idle", { partitions: PARTITIONS }),
  );
  const consumer = place.consumer();
  await consumer.untilLogged("partition.opened");
  await sleep(SETTLE_MS, { signal });
  if (signal.aborted) return;
  const began = performance.now();
  const before = await cpuSeconds(consumer.pid);
  await sleep(WATCH_MS, { signal });
  if (signal.aborted) return;
  const tookMs = (await cpuSeconds(consumer.pid) - before) * 1000;
  const seconds = (performance.now() - began) / 1000;
  const rows = [
    ["duration, s", seconds.toFixed(0)],
    ["CPU time, ms per second", (tookMs / seconds).toFixed(1)],
    ["warnings logged", String(warnings(consumer.output))],
  ];
  const versions = `Deno ${Deno.version.deno}, ${navigator.hardwareConcurrency} cores`;
  const text = `${versions}\n\n${
    formatTable([{ title: "an idle consumer" }, { title: "figure", align: "right" }], rows)
  }\n`;
  Deno.stdout.writeSync(new TextEncoder().encode(text));
  await Deno.writeTextFile(new URL("results/idle.txt", import.meta.url), text);
});

function warnings(output: string): number {
  return output.split("\n").filter((line) => /warning/i.test(line)).length;
}
