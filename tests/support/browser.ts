/// <reference lib="dom" />
import { deepStrictEqual } from "node:assert";
import axe from "axe-core";
import type { Browser, Page } from "puppeteer-core";
import { startBrowser, Tab, type View } from "../../lab/browser.ts";
import { eventually } from "../../lab/eventually.ts";
import type { Monitor } from "../../lab/monitor.ts";

let starting: Promise<Browser> | undefined;

Deno.test.afterAll(async () => await (await starting?.catch(() => undefined))?.close());

/** The browser that the tests of a file share. It starts at the first use, and ends after the last test. */
export function browser(): Promise<Browser> {
  return starting ??= startBrowser();
}

/** Runs a part of a test in a tab that has the monitor's cookie. Fails if the browser noticed anything wrong. */
export async function withTab(
  monitor: Monitor,
  view: View,
  body: (tab: Tab) => Promise<void>,
): Promise<void> {
  await using tab = await Tab.open(await browser(), monitor.origin, view);
  try {
    await tab.page.goto(await monitor.address());
    await body(tab);
  } catch (error) {
    const at = `the page is ${tab.page.url()} with the text:\n${await textOf(tab.page, "body").catch(
      String,
    )}`;
    const faults = tab.faults.join("\n") || "none";
    throw new Error(`${at}\nfaults: ${faults}\n${monitor.worker.tail()}`, { cause: error });
  }
  deepStrictEqual(tab.faults, [], "the browser reports faults");
}

/** The text that the elements show. Hidden elements show none. */
export async function textOf(page: Page, selector: string): Promise<string> {
  const texts = await page.$$eval(
    selector,
    (elements) => elements.map((element) => (element as HTMLElement).innerText),
  );
  return texts.join("\n").replaceAll(/[\u202f\u00a0]/g, " ");
}

/** Waits for a text on the page without loading it again. */
export async function untilShown(page: Page, selector: string, pattern: RegExp): Promise<string> {
  let seen = "";
  return await eventually(`${selector} to show ${pattern}`, async () => {
    seen = await textOf(page, selector);
    return pattern.test(seen) && seen;
  }, { seen: () => seen });
}

/** Fails if axe-core finds a serious or critical problem, such as too little contrast or a field without a label. */
export async function assertAccessible(page: Page): Promise<void> {
  await page.evaluate(axe.source);
  const found = await page.evaluate(async () => {
    const { violations } = await (globalThis as unknown as { axe: typeof axe }).axe.run();
    return violations.filter(({ impact }) => impact === "serious" || impact === "critical").map((
      violation,
    ) => ({
      rule: `${violation.id}: ${violation.help}`,
      nodes: violation.nodes.map(({ html, failureSummary }) => `${html}: ${failureSummary}`),
    }));
  });
  deepStrictEqual(found, [], `axe-core reports problems of ${page.url()}`);
}
