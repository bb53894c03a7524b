import { EXIT } from "../../workers/_shared/lifecycle.ts";
import { parseUpFlags } from "../command_line.ts";
import { keepRunning, runTogether } from "../process/keep_running.ts";
import { startStack } from "../mod.ts";
import { sayProgress } from "../output.ts";
import { runProgram } from "../program.ts";
import { type Display, openDisplay, showStatus } from "./display.ts";
import { startPipeline } from "./pipeline.ts";

await runProgram(async ({ args, env, readFile, signal, resources }) => {
  const flags = parseUpFlags(args, env, readFile);
  if (Deno.build.os !== "windows") {
    // If the terminal is closed, stop as after Ctrl-C. The servers run in separate sessions, so they would not stop.
    Deno.addSignalListener("SIGHUP", () => Deno.kill(Deno.pid, "SIGTERM"));
  }
  if (flags.ownKafka !== undefined) {
    sayProgress(`Kafka: KAFKA_BOOTSTRAP_SERVERS is set, so this starts no broker and uses ${flags.ownKafka}`);
  }
  if (flags.ownDatabaseUrl !== undefined) {
    sayProgress("PostgreSQL: DATABASE_URL is set, so this starts no server");
  }
  const services = [
    ...(flags.ownKafka === undefined ? ["kafka" as const] : []),
    ...(flags.ownDatabaseUrl === undefined ? ["postgres" as const] : []),
  ];
  let stack;
  try {
    stack = await startStack({ ...flags, services, signal, onProgress: sayProgress });
  } catch (error) {
    if (signal.aborted) return EXIT.interrupted;
    throw error;
  }
  resources.use("Kafka and PostgreSQL", stack);
  const shown: { display?: Display } = {};
  const notice = (level: "info" | "warning" | "error", from: string, text: string) =>
    shown.display === undefined
      ? sayProgress(`${from}: ${text}`)
      : shown.display.notice({ level, from, text });
  const { servers, workers, status, footer } = await startPipeline({
    flags,
    stack,
    resources,
    onProgress: sayProgress,
    onLine: ({ level, service, message }) => {
      if (level === "warning" || level === "error") notice(level, service, message);
    },
  });
  // Resources close in reverse order, so this message follows the last status.
  resources.defer("message", () => sayProgress("Stopping: producer, consumer, then the servers"));
  const display = openDisplay({ colour: env["NO_COLOR"] === undefined, footer });
  shown.display = resources.use("display", display);

  const watched = [...servers, ...workers];
  const watching = watched.map((program) => (until: AbortSignal) =>
    keepRunning(program, { signal: until, onProgress: (text) => notice("warning", "up", text) })
  );
  const showing = (until: AbortSignal) =>
    showStatus(status, display, {
      signal: until,
      onFirstStored: () => {
        const seconds = (performance.now() / 1000).toFixed(1);
        notice("info", "up", `the first reading was stored after ${seconds} s`);
      },
    });
  await runTogether([...watching, showing], { signal });
});
