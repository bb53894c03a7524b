/// <reference lib="dom" />
import { match, ok, strictEqual } from "node:assert";
import type { Page } from "puppeteer-core";
import { eventually } from "../../lab/eventually.ts";
import { textOf, withTab } from "../support/browser.ts";
import { beats } from "../../lab/beats.ts";
import { Monitor } from "../../lab/monitor.ts";
import { onPlace } from "../support/services.ts";

const MOST_STOPS = 80;

/** Presses Tab until an element has the focus, and checks that the focus is visible at each stop. */
async function tabTo(page: Page, selector: string): Promise<void> {
  const stops: string[] = [];
  for (let stop = 0; stop < MOST_STOPS; stop++) {
    await page.keyboard.press("Tab");
    const { found, visible, name } = await page.evaluate((selector) => {
      const element = document.activeElement;
      if (element === null) return { found: false, visible: true, name: "nothing" };
      const { outlineStyle, outlineWidth, boxShadow } = getComputedStyle(element);
      const marked = outlineStyle !== "none" && outlineWidth !== "0px" || boxShadow !== "none" ||
        // Chromium marks the part of the date that has the focus.
        element.matches("input[type=datetime-local]");
      return {
        found: element.matches(selector),
        visible: element === document.body || marked,
        name: element.outerHTML.slice(0, 100),
      };
    }, selector);
    ok(visible, `the focus is not visible on ${name}`);
    stops.push(name);
    if (found) return;
  }
  throw new Error(`${selector} is not among the stops of the Tab key:\n${stops.join("\n")}`);
}

async function enter(page: Page): Promise<void> {
  await Promise.all([page.waitForNavigation(), page.keyboard.press("Enter")]);
}

Deno.test(
  "a whole session works with the keyboard alone",
  onPlace({}, async (place) => {
    await using monitor = await Monitor.start(place);
    await place.publisher.send([
      ...beats({ customer: "ada", from: 1_800, bpm: (ago) => ago < 300 ? 200 : 80 }),
      { value: "no json" },
    ]);
    await place.consumeAll();
    await withTab(monitor, {}, async ({ page }) => {
      // The first stop skips the navigation.
      await tabTo(page, "a.skip");
      await page.keyboard.press("Enter");
      await tabTo(page, "#attention a");
      await enter(page);
      strictEqual(await textOf(page, "h1"), "Customer ada");

      await tabTo(page, 'a[href*="last=8h"]');
      await enter(page);
      match(page.url(), /last=8h/);
      await eventually("the chart", () => page.$("#chart canvas"));
      await tabTo(page, "#chart [tabindex='0'], #chart[tabindex='0']");
      const address = page.url();
      await page.keyboard.press("+");
      await eventually("the + key to zoom", () => page.url() !== address);

      await tabTo(page, "nav a[href='/rejects']").catch(() => tabTo(page, "nav a[href='/rejects']"));
      await enter(page);
      await tabTo(page, "select[name=reason]");
      await page.keyboard.type("invalid_json");
      await tabTo(page, "form[data-range] button");
      await enter(page);
      match(page.url(), /reason=invalid_json/);
      match(await textOf(page, "#rejects"), /no json/);

      await tabTo(page, "input[data-customer-search]");
      await page.keyboard.type("ada");
      await enter(page);
      strictEqual(await textOf(page, "h1"), "Customer ada");
      await tabTo(page, "nav a[href='/ledger']").catch(() => tabTo(page, "nav a[href='/ledger']"));
      await enter(page);
      match(await textOf(page, "#unaccounted"), /Unaccounted: 0/);
    });
  }),
);
