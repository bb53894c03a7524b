import type { Browser } from "puppeteer-core";
import type { Tab } from "../../lab/browser.ts";
import type { Stack } from "../../stack/mod.ts";
import { sayProgress } from "../../stack/output.ts";
import { openTab, PAGE_NAMES, type PageName, show, take, untilShown } from "./pictures.ts";
import { Pipeline } from "./pipeline.ts";

const SIZES = [[360, 740], [1280, 800], [2560, 1440]] as const;
const SCHEMES = ["light", "dark"] as const;

/** Pictures of all pages at three sizes, light and dark, in each state of the pipeline. */
export async function review(stack: Stack, browser: Browser, folder: string): Promise<void> {
  await Deno.mkdir(folder, { recursive: true });
  const takeAll = async (tab: Tab, state: string, name: PageName, before = () => Promise.resolve()) => {
    for (const [width, height] of SIZES) {
      for (const scheme of SCHEMES) {
        await tab.look({ width, height, scheme });
        await before();
        await take(tab.page, folder, `${name}-${state}-${width}-${scheme}`, true);
      }
    }
    if (tab.faults.length > 0) sayProgress(`${name}, ${state}: ${tab.faults.join("; ")}`);
  };
  const takePages = async (pipeline: Pipeline, state: string) => {
    sayProgress(`Pictures of the ${state} pipeline`);
    await using tab = await openTab(browser, pipeline.monitor);
    for (const name of PAGE_NAMES) {
      await show(tab.page, pipeline.monitor, name);
      await takeAll(tab, state, name);
    }
  };
  await using empty = await Pipeline.start(stack, "heartbeats_empty");
  await takePages(empty, "empty");
  await using busy = await Pipeline.start(stack, "heartbeats");
  await busy.fill();
  await takePages(busy, "busy");

  // Open tabs, which see the servers stop one after the other.
  await using tabs = new AsyncDisposableStack();
  const open: [PageName, Tab][] = [];
  for (const name of PAGE_NAMES) {
    const tab = tabs.use(await openTab(browser, busy.monitor));
    await show(tab.page, busy.monitor, name);
    open.push([name, tab]);
  }
  busy.consumer.kill("SIGKILL");
  await open[0]?.[1].page.waitForSelector("#state.trouble", { timeout: 60_000 });
  await takePages(busy, "broken");
  const takeOpen = async (state: string, text: RegExp) => {
    for (const [name, tab] of open) {
      await untilShown(tab.page, text);
      await takeAll(tab, state, name);
    }
  };
  await stack.postgres.stop();
  await takeOpen("stale", /does not answer/);
  await using late = await openTab(browser, busy.monitor);
  late.expect(/503/);
  // The page loads itself again after some seconds, and a picture must not be taken then.
  await takeAll(late, "unreadable", "now", async () => void await late.page.goto(busy.monitor.origin));
  await busy.monitor.worker.stop();
  await takeOpen("disconnected", /disconnected|not connected/i);
  await stack.postgres.start();
}
