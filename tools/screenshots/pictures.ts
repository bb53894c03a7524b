import { join } from "node:path";
import type { Browser, Page } from "puppeteer-core";
import { Tab, type View } from "../../lab/browser.ts";
import { eventually } from "../../lab/eventually.ts";
import type { Monitor } from "../../lab/monitor.ts";
import { PipelineError } from "../../workers/_shared/errors.ts";
import { SHOWN_CUSTOMER } from "./seeded_hour.ts";

const PAGES = {
  now: "/",
  customer: `/customer?id=${SHOWN_CUSTOMER}&last=1h`,
  rejects: "/rejects",
  ledger: "/ledger",
} as const;
export type PageName = keyof typeof PAGES;
export const PAGE_NAMES = Object.keys(PAGES) as PageName[];

/** The rate of the page Now needs two snapshots. */
const LOOK_MS = 3_000;

/** A tab that is signed in. */
export async function openTab(browser: Browser, monitor: Monitor, view: View = {}): Promise<Tab> {
  const tab = await Tab.open(browser, monitor.origin, view);
  await tab.page.goto(await monitor.address());
  return tab;
}

export async function show(page: Page, monitor: Monitor, name: PageName): Promise<void> {
  await page.goto(monitor.origin + PAGES[name]);
  if (name === "customer") await page.waitForSelector("#chart canvas, .state.trouble");
  await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
}

/** Waits for a text on an open page. */
export async function untilShown(page: Page, pattern: RegExp): Promise<void> {
  await eventually(`the page to show ${pattern}`, async () => {
    return pattern.test(await page.evaluate("document.body.innerText") as string);
  });
}

/** @returns the size in bytes */
export async function take(page: Page, folder: string, name: string, fullPage: boolean): Promise<number> {
  const bytes = await page.screenshot({ type: "png", fullPage });
  await Deno.writeFile(join(folder, `${name}.png`), bytes);
  return bytes.length;
}

export function assertNoFaults({ faults }: Tab): void {
  if (faults.length === 0) return;
  throw new PipelineError("stack_failed", `The browser reports faults of the page:\n${faults.join("\n")}`);
}
