import { sayProgress as say } from "../../stack/output.ts";
import { runWorker } from "../../workers/_shared/lifecycle.ts";
import { enableCommitTimestamps } from "../lab/commit_times.ts";
import { startServers } from "../lab/servers.ts";
import { quantile } from "./event_stream.ts";
import { parseFlags } from "./flags.ts";
import { measureInBrowser } from "./in_browser.ts";
import { ingestTurns } from "./ingest_turns.ts";
import { reportOf } from "./report.ts";
import { type SteadyRun, steadyRun } from "./steady_run.ts";

const LOADS_PER_RUN = 5;

await runWorker(async ({ args, signal, resources }) => {
  const flags = parseFlags(args);
  const stack = await startServers({ signal, resources });
  await enableCommitTimestamps(stack);
  const inBrowser = await measureInBrowser(stack, flags.runs * LOADS_PER_RUN);
  const steady: SteadyRun[] = [];
  for (let run = 1; run <= flags.runs; run++) {
    if (signal.aborted) return;
    const took = await steadyRun(stack, { ...flags, ms: flags.seconds * 1000, signal });
    say(`${run}/${flags.runs} from commit to the page Now: p99 ${Math.round(quantile(took.nowMs, 0.99))} ms`);
    steady.push(took);
  }
  const turns = await ingestTurns(stack, { ...flags, resources, signal });
  if (signal.aborted) return;
  const text = reportOf({ steady, turns, inBrowser }, flags);
  Deno.stdout.writeSync(new TextEncoder().encode(text));
  await Deno.writeTextFile(new URL("../results/monitor.txt", import.meta.url), text);
});
