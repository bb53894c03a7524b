/// <reference lib="dom" />
import { deepStrictEqual, notStrictEqual, ok } from "node:assert";
import { assertAccessible, textOf, untilShown, withTab } from "../support/browser.ts";
import { beats } from "../../lab/beats.ts";
import { Monitor } from "../../lab/monitor.ts";
import { onPlace } from "../support/services.ts";

const PAGES = ["/", "/customer?id=ada&last=1h", "/rejects", "/ledger"];
const WIDTHS = [360, 1280, 2560];
const SCHEMES = ["light", "dark"] as const;
/** Long, as ids of devices are. */
const LONG_ID = `wearable-${"0123456789abcdef".repeat(6)}`;

Deno.test(
  "every page fits at 360, 1280 and 2560 pixels, light and dark, without serious findings of axe-core",
  onPlace({ partitions: 3 }, async (place) => {
    await using monitor = await Monitor.start(place);
    await place.publisher.send([
      ...beats({ customer: "ada", from: 3_000, bpm: (ago) => ago < 300 ? 200 : 80 }),
      ...beats({ customer: LONG_ID, from: 600, bpm: 35 }),
      ...beats({ customer: "gone", from: 7_200, to: 6_000, bpm: 70 }),
      ...beats({ customer: "bob", from: 600, bpm: (ago) => ago > 60 && ago < 300 ? 191 : 66 }),
      { value: `{"customer_id":"ada",${"x".repeat(3_000)}` },
      { value: new Uint8Array(600).fill(0xfe) },
      { value: { customer_id: "ada", timestamp: new Date().toISOString(), heart_rate: 999 } },
    ]);
    place.consumer();
    await place.untilCaughtUp();
    await withTab(monitor, {}, async (tab) => {
      const { page } = tab;
      await untilShown(page, "#attention", /was high, highest 191 bpm/);
      const backgrounds: string[] = [];
      for (const path of PAGES) {
        for (const width of WIDTHS) {
          for (const scheme of SCHEMES) {
            await tab.look({ width, scheme });
            await page.goto(monitor.origin + path);
            if (path.includes("id=ada")) await page.waitForSelector("#chart canvas");
            const { scroll, background } = await page.evaluate(() => ({
              scroll: document.documentElement.scrollWidth,
              background: getComputedStyle(document.documentElement).backgroundColor +
                getComputedStyle(document.body).backgroundColor,
            }));
            ok(scroll <= width, `${path} is ${scroll} pixels wide at ${width}`);
            backgrounds.push(background);
            await assertAccessible(page);
          }
        }
      }
      deepStrictEqual(new Set(backgrounds).size, 2, "light and dark have one background each");
      notStrictEqual(backgrounds[0], backgrounds[1]);
    });
  }),
);

Deno.test(
  "the pages of an empty and of a broken pipeline and of wrong addresses have no serious findings of axe-core",
  onPlace({}, async (place) => {
    await using monitor = await Monitor.start(place);
    await withTab(monitor, {}, async (tab) => {
      tab.expect(/status(?: of)? 40[04]/);
      for (const scheme of SCHEMES) {
        await tab.look({ width: 360, scheme });
        for (const path of [...PAGES, "/nothing", "/customer?id=ada&from=2&to=1"]) {
          await tab.page.goto(monitor.origin + path);
          // Without a consumer, the state is a problem.
          if (path === "/") await untilShown(tab.page, "#state", /problem/);
          await assertAccessible(tab.page);
        }
      }
    });
  }),
);

Deno.test(
  "nothing moves for a viewer who prefers reduced motion",
  onPlace({}, async (place) => {
    await using monitor = await Monitor.start(place);
    await place.publisher.send(beats({ customer: "ada", from: 600, bpm: 200 }));
    place.consumer();
    await place.untilStored();
    await withTab(monitor, { reducedMotion: true }, async ({ page }) => {
      for (const path of PAGES) {
        await page.goto(monitor.origin + path);
        const moving = await page.evaluate(() =>
          [...document.querySelectorAll("*")].filter((element) => {
            const { animationName, transitionDuration } = getComputedStyle(element);
            return animationName !== "none" ||
              transitionDuration.split(", ").some((time) => parseFloat(time) > 0.01);
          }).map(({ outerHTML }) => outerHTML.slice(0, 100))
        );
        deepStrictEqual(moving, [], path);
      }
      ok(await textOf(page, "main"));
    });
  }),
);
