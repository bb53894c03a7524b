import { EXIT, runWorker } from "../workers/_shared/lifecycle.ts";
import { sayProgress, sayResult } from "../stack/output.ts";
import { parseChaosFlags } from "./command_line.ts";
import { describeFault } from "./faults/fault.ts";
import { openForeignArena } from "./arena/foreign_arena.ts";
import { report } from "./outcome.ts";
import { openOwnArena } from "./arena/own_arena.ts";
import { run } from "./run.ts";
import { planFaults, seeded } from "./faults/schedule.ts";

await runWorker(async ({ args, env, readFile, signal, resources }) => {
  const flags = parseChaosFlags(args);
  const schedule = { ...flags, durationMs: flags.minutes * 60_000 };
  if (flags.plan) return sayResult(planFaults(schedule).map(describeFault).join("\n"));
  if (Deno.build.os !== "windows") {
    // The servers run in their own sessions. Without this they would outlive a closed terminal.
    Deno.addSignalListener("SIGHUP", () => Deno.kill(Deno.pid, "SIGTERM"));
  }
  const random = seeded(flags.seed + 1);
  let arena;
  try {
    arena = flags.against
      ? await openForeignArena({ ...flags, random, env, readFile })
      : await openOwnArena({ ...flags, random, signal, onProgress: sayProgress });
  } catch (error) {
    if (signal.aborted) return EXIT.interrupted;
    throw error;
  }
  const keeping = { keep: false };
  resources.defer("servers, links and topic", () => arena.close(keeping));
  const faults = planFaults({ ...schedule, targets: arena.targets });
  sayProgress(
    `Seed ${flags.seed}, ${faults.length} faults, ${flags.rate} records per second; ${arena.location}`,
  );
  for (const fault of faults) sayProgress(describeFault(fault));
  const outcome = await run({ flags, arena, faults, onProgress: sayProgress, signal });
  if (outcome === undefined) {
    sayProgress("Stopped before everything was judged. No difference was found so far");
    return EXIT.interrupted;
  }
  const text = report(outcome);
  sayResult(text);
  if (flags.report !== undefined) await Deno.writeTextFile(flags.report, text);
  if (outcome.problems.length === 0) return EXIT.ok;
  keeping.keep = true;
  sayProgress(`${outcome.problems.length} differences. Kept for inspection: ${arena.location}`);
  return EXIT.failed;
});
