import { describeError } from "../../workers/_shared/errors.ts";
import { EXIT } from "../../workers/_shared/lifecycle.ts";
import { parseUpFlags } from "../command_line.ts";
import { sayProgress } from "../output.ts";
import { keepRunning, type Restartable, runTogether } from "../process/keep_running.ts";
import { runProgram } from "../program.ts";
import { openDisplay, showStatus } from "./display.ts";
import { Notices } from "./notices.ts";
import { startPipeline } from "./pipeline.ts";
import { startServers } from "./servers.ts";

await runProgram(async ({ args, env, readFile, signal, resources }) => {
  const flags = parseUpFlags(args, env, readFile);
  stopWithTerminal();
  const notices = new Notices();
  const { onLine } = notices;
  const started = await startServers(flags, { signal, onLine }).catch((error) => {
    if (!signal.aborted) throw error;
  });
  if (started === undefined) return EXIT.interrupted;
  resources.use("Kafka and PostgreSQL", started.stack);
  const { servers, workers, monitor, status, footer } = startPipeline({
    ...started,
    flags,
    resources,
    onLine,
  });
  // Resources close in reverse order, so this message follows the last status.
  resources.defer("message", () => sayProgress("Stopping: producer, consumer, monitor, then the servers"));
  const display = resources.use("display", openDisplay({ colour: env["NO_COLOR"] === undefined, footer }));
  notices.showOn(display);

  const watch = (program: Restartable) => (until: AbortSignal) =>
    keepRunning(program, { signal: until, onProgress: (text) => notices.add("warning", "up", text) });
  // The pipeline works without its monitor page.
  const watchMonitor = async (until: AbortSignal) =>
    await (monitor &&
      watch(monitor)(until).catch((error) =>
        notices.add("error", "monitor", describeError(error).replaceAll(/\n */g, "; "))
      ));
  const onFirstStored = () => {
    const seconds = (performance.now() / 1000).toFixed(1);
    notices.add("info", "up", `the first reading was stored after ${seconds} s`);
  };
  const showing = (until: AbortSignal) => showStatus(status, display, { signal: until, onFirstStored });
  await runTogether([...[...servers, ...workers].map(watch), watchMonitor, showing], { signal });
});

/** If the terminal is closed, `up` stops as after Ctrl-C. The servers run in sessions of their own, so they would not stop. */
function stopWithTerminal(): void {
  if (Deno.build.os !== "windows") {
    Deno.addSignalListener("SIGHUP", () => Deno.kill(Deno.pid, "SIGTERM"));
  }
}
