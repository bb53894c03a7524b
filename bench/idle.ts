/** What a consumer takes that has nothing to do: processor time of its process, its group and its health port at work. */
import { startStack } from "../stack/mod.ts";
import { createPlace } from "../tests/support/place.ts";
import { sleep } from "../workers/_shared/backoff.ts";
import { PipelineError } from "../workers/_shared/errors.ts";
import { runWorker } from "../workers/_shared/lifecycle.ts";
import { formatTable } from "../workers/_shared/table.ts";

const PARTITIONS = 6;
/** Until what the start set going (just-in-time compilation, a second join) is over. */
const SETTLE_MS = 30_000;
const WATCH_MS = 60_000;

await runWorker(async ({ resources, signal }) => {
  const home = await Deno.makeTempDir({ prefix: "heartbeat-bench-" });
  const stack = await startStack({ home, signal });
  resources.defer("servers", () => stack.destroy());
  const place = resources.use(
    "topic and database",
    await createPlace(stack, "idle", { partitions: PARTITIONS }),
  );
  const consumer = place.consumer();
  await consumer.said("partition.opened");
  await sleep(SETTLE_MS, { signal });
  const began = performance.now();
  const before = await cpuMs(consumer.pid);
  await sleep(WATCH_MS, { signal });
  const took = await cpuMs(consumer.pid) - before;
  const seconds = (performance.now() - began) / 1000;
  const rows = [
    ["seconds watched", seconds.toFixed(0)],
    ["processor time, ms a second", (took / seconds).toFixed(1)],
    ["lines said meanwhile that are warnings", String(warnings(consumer.output))],
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

/** Processor time of a process so far, its threads' together; Linux counts it in hundredths of a second. */
async function cpuMs(pid: number): Promise<number> {
  if (Deno.build.os !== "linux") {
    throw new PipelineError(
      "stack_failed",
      "Cannot measure processor time: this is no Linux, expected its /proc",
    );
  }
  // Asked of another program: Deno lets nobody look below /proc who has not all permissions.
  const { stdout } = await new Deno.Command("cat", { args: [`/proc/${pid}/stat`], stdin: "null" }).output();
  // The name, in parentheses, may hold spaces; user and system time are the 14th and 15th fields of all.
  const fields = new TextDecoder().decode(stdout).replace(/^.*\) /, "").split(" ");
  return (Number(fields[11]) + Number(fields[12])) * 10;
}
