/** Runs the whole pipeline on this machine: Kafka, PostgreSQL, consumer, producer, and a status to look at. */
import { sleep } from "../../workers/_shared/backoff.ts";
import { EXIT, runWorker } from "../../workers/_shared/lifecycle.ts";
import { parseUpFlags } from "../command_line.ts";
import { keepRunning } from "../keep_running.ts";
import { startStack } from "../mod.ts";
import { type Display, openDisplay } from "./display.ts";
import { startPipeline } from "./pipeline.ts";

const GATHER_EVERY_MS = 1_000;

await runWorker(async ({ args, env, readFile, signal, resources }) => {
  const flags = parseUpFlags(args, env, readFile);
  if (Deno.build.os !== "windows") {
    // A closed terminal is a Ctrl-C: what runs in sessions of its own would otherwise stay.
    Deno.addSignalListener("SIGHUP", () => Deno.kill(Deno.pid, "SIGTERM"));
  }
  const onProgress = (text: string) => void Deno.stderr.writeSync(new TextEncoder().encode(`${text}\n`));
  const services = [
    ...(flags.ownKafka === undefined ? ["kafka" as const] : []),
    ...(flags.ownDatabaseUrl === undefined ? ["postgres" as const] : []),
  ];
  let stack;
  try {
    stack = await startStack({ ...flags, services, signal, onProgress });
  } catch (error) {
    if (signal.aborted) return EXIT.interrupted;
    throw error;
  }
  resources.use("Kafka and PostgreSQL", stack);
  const shown: { display?: Display } = {};
  const notice = (level: "info" | "warning" | "error", from: string, text: string) =>
    shown.display === undefined
      ? onProgress(`${from}: ${text}`)
      : shown.display.notice({ level, from, text });
  const { workers, status, places } = await startPipeline({
    flags,
    stack,
    resources,
    onProgress,
    onLine: ({ level, service, message }) => {
      if (level === "warning" || level === "error") notice(level, service, message);
    },
  });
  // Closed right after the display: the last picture, then this.
  resources.defer("message", () => onProgress("Stopping: producer, consumer, then the servers"));
  const display = openDisplay({ colour: env["NO_COLOR"] === undefined, footer: places });
  shown.display = resources.use("display", display);

  const watched = [...services.map((name) => stack[name]), ...workers];
  const watching = watched.map((one) => {
    return keepRunning(one, { signal, onProgress: (text) => notice("error", "up", text) });
  });
  const showing = (async () => {
    let storing = false;
    while (!signal.aborted) {
      const now = await status.gather();
      if (!storing && now.storedRun > 0) {
        storing = true;
        notice(
          "info",
          "up",
          `the first reading was stored within ${(performance.now() / 1000).toFixed(1)} s`,
        );
      }
      display.show(now);
      await sleep(GATHER_EVERY_MS, { signal });
    }
  })();
  await Promise.all([...watching, showing]);
});
