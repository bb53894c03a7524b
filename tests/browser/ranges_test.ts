/// <reference lib="dom" />
import { doesNotMatch, match, notStrictEqual, strictEqual } from "node:assert";
import type { Page } from "puppeteer-core";
import { beats, reading } from "../../lab/beats.ts";
import { eventually } from "../../lab/eventually.ts";
import { Monitor } from "../../lab/monitor.ts";
import { textOf, untilShown, withTab } from "../support/browser.ts";
import { onPlace } from "../support/services.ts";

const MINUTE_S = 60;

async function untilDrawn(page: Page): Promise<void> {
  await eventually("the chart", () => page.$eval("#chart-summary", ({ textContent }) => textContent !== ""));
}

/** The colour of the chart between its top and its highest line, at an instant. */
async function colourAt(page: Page, at: number): Promise<string> {
  return await page.$eval("#chart canvas", (canvas, at) => {
    const { from, to } = document.getElementById("chart")?.dataset ?? {};
    const over = document.querySelector("#chart .u-over")?.getBoundingClientRect();
    const box = canvas.getBoundingClientRect();
    const scale = canvas.width / box.width;
    const share = (at - Number(from)) / (Number(to) - Number(from));
    const x = ((over?.left ?? 0) - box.left + share * (over?.width ?? 0)) * scale;
    const y = ((over?.top ?? 0) - box.top + 3) * scale;
    return [...canvas.getContext("2d")?.getImageData(x, y, 1, 1).data ?? []].join();
  }, at);
}

Deno.test(
  "a zoomed page keeps the answer of its range, while the stream goes on, and the key 0 returns to the whole range",
  onPlace({}, async (place) => {
    await using monitor = await Monitor.start(place);
    place.consumer();
    await place.publisher.send(beats({ customer: "ada", from: 50 * MINUTE_S, bpm: 75 }));
    await withTab(monitor, {}, async ({ page }) => {
      await eventually("the readings", async () => {
        await page.goto(`${monitor.origin}/customer?id=ada`);
        return /No anomaly/.test(await textOf(page, "#episodes"));
      });
      await untilDrawn(page);
      const end = () => page.$eval("input[name=to]", ({ dataset }) => Date.parse(dataset["instant"] ?? ""));
      const before = await end();
      await eventually("the fields to move with the present", async () => await end() > before);
      match(
        await page.$eval("#curve a.button", ({ search }) => search),
        /last=1h/,
        "the CSV file of the present",
      );
      await page.focus("#chart");
      for (const key of ["+", "+", "ArrowLeft", "ArrowLeft"] as const) await page.keyboard.press(key);
      await eventually("the address to have the range", () => page.url().includes("from="));
      await place.publisher.send([reading("ada", Date.now(), 195)]);
      await untilShown(page, "#latest", /195/);
      // Longer than the server waits until it asks for the episodes of the whole range again.
      await untilShown(page, "#latest", /latest reading, [6-9] s ago/);
      match(await textOf(page, "#episodes"), /No anomaly/);
      await page.focus("#chart");
      await page.keyboard.press("0");
      await untilShown(page, "#episodes", /1 episode in the last hour/);

      const range = new URLSearchParams({ from: `${Date.now() - 60_000}`, to: `${Date.now() + 3_600_000}` });
      await page.goto(`${monitor.origin}/customer?id=ada&${range}`);
      match(await textOf(page, "#episodes"), /1 episode from/);
      await place.publisher.send([reading("ada", Date.now(), 75), reading("ada", Date.now() + 1, 196)]);
      await untilShown(page, "#episodes", /2 episodes from/);
    });
  }),
);

Deno.test(
  "the page shades the silences, marks the chosen range, and a silent customer's link leads to the last readings",
  onPlace({}, async (place) => {
    await using monitor = await Monitor.start(place);
    const now = Date.now();
    await place.publisher.send([
      ...beats({ customer: "ada", from: 400 * MINUTE_S, to: 390 * MINUTE_S, bpm: 75 }, now),
      ...beats({ customer: "ada", from: 370 * MINUTE_S, to: 350 * MINUTE_S, bpm: 75 }, now),
    ]);
    await place.consumeAll();
    const consumer = place.consumer();
    await consumer.untilReady();
    await withTab(monitor, {}, async ({ page }) => {
      await untilShown(page, "#attention", /ada/);
      await Promise.all([page.waitForNavigation(), page.click("#attention a.id")]);
      await untilDrawn(page);
      match(await textOf(page, "#latest"), /silent for 5 h 5\d min/);
      match(
        await textOf(page, "#episodes"),
        /No anomaly from .* \(\d+ readings\)\. But no reading since .*, and none for (29|30) min.* before, in 2 silences/,
      );
      const inSilence = await colourAt(page, now - 380 * MINUTE_S * 1_000);
      const inReadings = await colourAt(page, now - 361 * MINUTE_S * 1_000);
      notStrictEqual(inSilence, inReadings);
      await Promise.all([page.waitForNavigation(), page.click("a[data-night=last]")]);
      match(await textOf(page, ".ranges [aria-current=true]"), /^last night, \d/);
      await Promise.all([page.waitForNavigation(), page.click("a[href*='last=8h']")]);
      strictEqual(await textOf(page, ".ranges [aria-current=true]"), "last 8 hours");
      doesNotMatch(await textOf(page, "#episodes"), /✓/);
    });
  }),
);
