/// <reference lib="dom" />
import type { Page } from "puppeteer-core";
import { beats } from "../../lab/beats.ts";
import { startBrowser, Tab } from "../../lab/browser.ts";
import { Monitor } from "../../lab/monitor.ts";
import { createPlace } from "../../lab/place.ts";
import type { Stack } from "../../stack/mod.ts";

const CUSTOMER = "customer-0001";
const DAY_SECONDS = 86_400;
/** 17,280 readings in a day. */
const EVERY_SECONDS = 5;

export interface Loaded {
  readonly firstPaintMs: number;
  /** The page with its scripts and styles, as sent. */
  readonly bytes: number;
}

export interface InBrowser {
  readonly now: readonly Loaded[];
  readonly customer: readonly Loaded[];
  /** From the last byte of the data to the next frame with the curve. */
  readonly drawnMs: readonly number[];
}

/** Loads the pages of a customer with a day of readings. Each load has an empty cache. */
export async function measureInBrowser(stack: Stack, runs: number): Promise<InBrowser> {
  await using place = await createPlace(stack, "drawing", { partitions: 1 });
  const bpm = (ago: number) => Math.round(80 + 30 * Math.sin(ago / 900) + 8 * Math.sin(ago / 37));
  await place.publisher.send(beats({ customer: CUSTOMER, from: DAY_SECONDS, every: EVERY_SECONDS, bpm }));
  await using _consumer = place.consumer();
  await place.untilCaughtUp();
  await using monitor = await Monitor.start(place);
  const browser = await startBrowser();
  try {
    const result = { now: [] as Loaded[], customer: [] as Loaded[], drawnMs: [] as number[] };
    await using tab = await Tab.open(browser, monitor.origin);
    const { page } = tab;
    await page.goto(await monitor.address());
    await page.setCacheEnabled(false);
    await page.evaluateOnNewDocument(noteDrawing);
    // The first load of each page compiles the code of browser and monitor. It does not count.
    for (let run = 0; run <= runs; run++) {
      const now = await load(page, monitor.origin);
      const customer = await load(page, `${monitor.origin}/customer?id=${CUSTOMER}&last=24h`);
      const drawnMs = await untilDrawn(page);
      if (run === 0) continue;
      result.now.push(now);
      result.customer.push(customer);
      result.drawnMs.push(drawnMs);
    }
    if (tab.faults.length > 0) throw new Error(`the page has faults:\n${tab.faults.join("\n")}`);
    return result;
  } finally {
    await browser.close();
  }
}

type Noted = typeof globalThis & { drawnAt?: number };

/** Runs in the page: notes the first frame that has the chart. */
function noteDrawing(): void {
  new MutationObserver((_, observer) => {
    if (document.querySelector("#chart canvas") === null) return;
    observer.disconnect();
    requestAnimationFrame(() =>
      requestAnimationFrame(() => (globalThis as Noted).drawnAt = performance.now())
    );
  }).observe(document, { childList: true, subtree: true });
}

async function untilDrawn(page: Page): Promise<number> {
  await page.waitForFunction(() => (globalThis as Noted).drawnAt !== undefined);
  return await page.evaluate(() => {
    const [data] = performance.getEntriesByType("resource").filter(({ name }) =>
      name.includes("/customer/data")
    );
    return ((globalThis as Noted).drawnAt ?? NaN) - (data as PerformanceResourceTiming).responseEnd;
  });
}

async function load(page: Page, url: string): Promise<Loaded> {
  const session = await page.createCDPSession();
  await session.send("Network.enable");
  const counted = new Set<string>();
  let bytes = 0;
  session.on("Network.responseReceived", ({ requestId, type }) => {
    if (["Document", "Script", "Stylesheet"].includes(type)) counted.add(requestId);
  });
  session.on("Network.loadingFinished", ({ requestId, encodedDataLength }) => {
    if (counted.has(requestId)) bytes += encodedDataLength;
  });
  await page.goto(url);
  await page.waitForFunction(() => performance.getEntriesByName("first-contentful-paint").length > 0);
  const firstPaintMs = await page.evaluate(() =>
    performance.getEntriesByName("first-contentful-paint")[0]?.startTime ?? NaN
  );
  await session.detach();
  return { firstPaintMs, bytes };
}
