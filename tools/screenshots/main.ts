import { join } from "node:path";
import { Command } from "commander";
import { startBrowser } from "../../lab/browser.ts";
import { startStack } from "../../stack/mod.ts";
import { sayProgress, sayResult } from "../../stack/output.ts";
import { CLONE } from "../../stack/process/clone.ts";
import { PipelineError } from "../../workers/_shared/errors.ts";
import { runWorker } from "../../workers/_shared/lifecycle.ts";
import { assertNoFaults, openTab, PAGE_NAMES, show, take } from "./pictures.ts";
import { Pipeline } from "./pipeline.ts";
import { review } from "./review.ts";

const MAX_BYTES = 200_000;
const WIDTH = 1280;
/** Height of the window, so that each picture shows the part of the page that matters. */
const HEIGHTS = { now: 800, customer: 1080, rejects: 1000, ledger: 640 };

await runWorker(async ({ args, signal, resources }) => {
  const { folder } = parseFlags(args);
  const browser = await startBrowser();
  resources.defer("Chromium", () => browser.close());
  const home = await Deno.makeTempDir({ prefix: "heartbeat-screenshots-" });
  const stack = await startStack({ home, signal, onProgress: sayProgress });
  resources.defer("servers", () => stack.destroy());
  if (folder !== undefined) return await review(stack, browser, folder);

  const pipeline = resources.use("pipeline", await Pipeline.start(stack, "heartbeats"));
  await pipeline.fill();
  await using tab = await openTab(browser, pipeline.monitor);
  const docs = join(CLONE, "docs");
  for (const name of PAGE_NAMES) {
    await tab.look({ width: WIDTH, height: HEIGHTS[name] });
    await show(tab.page, pipeline.monitor, name);
    const bytes = await take(tab.page, docs, `monitor-${name}`, false);
    sayResult(`docs/monitor-${name}.png ${Math.round(bytes / 1000)} KB`);
    if (bytes > MAX_BYTES) {
      throw new PipelineError(
        "stack_failed",
        `docs/monitor-${name}.png has ${bytes} bytes, expected at most ${MAX_BYTES}`,
      );
    }
  }
  assertNoFaults(tab);
});

function parseFlags(args: readonly string[]): { readonly folder: string | undefined } {
  const command = new Command("screenshots")
    .description(
      "Takes the pictures of the monitor page in docs/, from an hour of synthetic readings with a fixed seed. " +
        "Needs Chromium. Starts its own Kafka and PostgreSQL.",
    )
    .option(
      "--review <folder>",
      "take pictures of all pages at three sizes, light and dark, of an empty, a busy and a broken pipeline, " +
        "and write them to this folder in place of docs/",
    )
    .addHelpText("after", "\nExample:\n  deno task screenshots --review /tmp/pages")
    .exitOverride();
  const { review } = command.parse([...args], { from: "user" }).opts<{ review?: string }>();
  return { folder: review };
}
