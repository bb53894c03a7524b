import { deepStrictEqual, match, ok, strictEqual } from "node:assert";
import type { Page } from "puppeteer-core";
import { eventually } from "../../lab/eventually.ts";
import { textOf, untilShown, withTab } from "../support/browser.ts";
import { beats } from "../../lab/beats.ts";
import { Monitor } from "../../lab/monitor.ts";
import { onPlace } from "../support/services.ts";

const MINUTE = 60;

/** 90 minutes of Ada: high for six of them, and silent for ten. */
function ada(now: number) {
  const bpm = (ago: number) => ago <= 70 * MINUTE && ago >= 64 * MINUTE ? 195 : 75;
  return [
    ...beats({ customer: "ada", from: 90 * MINUTE, to: 40 * MINUTE, bpm }, now),
    ...beats({ customer: "ada", from: 30 * MINUTE, bpm }, now),
    ...beats({ customer: "adam", from: 5 * MINUTE, bpm: 90 }, now),
    ...beats({ customer: "bob", from: 5 * MINUTE, bpm: 60 }, now),
  ];
}

/** The range that the chart shows. */
async function rangeOf(page: Page): Promise<readonly [from: number, to: number]> {
  await untilDrawn(page);
  return await page.$eval(
    "div#chart",
    ({ dataset }) => [Number(dataset["from"]), Number(dataset["to"])] as const,
  );
}

/** @returns the point of the screen at a share of the curve's width */
async function curveOf(page: Page): Promise<(share: number) => { x: number; y: number }> {
  const curve = await page.waitForSelector("#chart .u-over");
  await curve?.scrollIntoView();
  const box = await curve?.boundingBox();
  ok(box);
  return (share) => ({ x: box.x + box.width * share, y: box.y + box.height / 2 });
}

async function untilDrawn(page: Page): Promise<void> {
  await eventually("the chart", () => page.$eval("#chart canvas", (canvas) => canvas.clientWidth > 100));
}

Deno.test(
  "a customer is found by the search field, opened and zoomed, and the address gives the same range again",
  onPlace({}, async (place) => {
    await using monitor = await Monitor.start(place);
    await place.publisher.send(ada(Date.now()));
    await place.consumeAll();
    await withTab(monitor, {}, async ({ page }) => {
      await page.type("input[data-customer-search]", "ad");
      await eventually("the search field to suggest both", async () => {
        const ids = await page.$$eval("datalist option", (options) => options.map(({ value }) => value));
        return ids.join() === "ada,adam";
      });
      await page.type("input[data-customer-search]", "a");
      await Promise.all([page.waitForNavigation(), page.keyboard.press("Enter")]);
      strictEqual(new URL(page.url()).searchParams.get("id"), "ada");
      strictEqual(await textOf(page, "h1"), "Customer ada");

      await Promise.all([page.waitForNavigation(), page.click('a[href*="last=8h"]')]);
      match(await textOf(page, "#episodes"), /1 episode .*: .*6 min, highest 195 bpm/);
      match(await textOf(page, "#episodes"), /\b73\b/);
      const [from, to] = await rangeOf(page);
      strictEqual(to - from, 8 * 3_600_000);

      const at = await curveOf(page);
      await page.mouse.move(at(0.8).x, at(0.8).y);
      await page.mouse.down();
      await page.mouse.move(at(0.9).x, at(0.9).y, { steps: 5 });
      await page.mouse.up();
      await eventually("the address to have the chosen range", () => page.url().includes("from="));
      const zoomed = await rangeOf(page);
      ok(zoomed[0] > from && zoomed[1] < to, `${zoomed} is within ${[from, to]}`);
      ok(zoomed[1] - zoomed[0] < 0.15 * (to - from));
      const address = page.url();
      await page.reload();
      deepStrictEqual(await rangeOf(page), zoomed);
      strictEqual(page.url(), address);
    });
  }),
);

Deno.test(
  "on a touch screen, two fingers zoom the chart of a customer and one finger moves it",
  onPlace({}, async (place) => {
    await using monitor = await Monitor.start(place);
    await place.publisher.send(ada(Date.now()));
    await place.consumeAll();
    await withTab(monitor, { width: 360 }, async ({ page }) => {
      const screen = await page.createCDPSession();
      await screen.send("Emulation.setTouchEmulationEnabled", { enabled: true, maxTouchPoints: 2 });
      await page.goto(`${monitor.origin}/customer?id=ada&last=8h`);
      const [from, to] = await rangeOf(page);
      const at = await curveOf(page);
      /** Puts fingers on the curve, moves them, and takes them away. */
      const touch = async (...moves: readonly (readonly number[])[]) => {
        for (const [turn, shares] of moves.entries()) {
          await screen.send("Input.dispatchTouchEvent", {
            type: turn === 0 ? "touchStart" : "touchMove",
            touchPoints: shares.map((share, id) => ({ id, ...at(share) })),
          });
        }
        await screen.send("Input.dispatchTouchEvent", { type: "touchEnd", touchPoints: [] });
      };

      await touch([0.4, 0.6], [0.35, 0.65], [0.2, 0.8], [0.1, 0.9]);
      await eventually("the address to have the zoomed range", () => page.url().includes("from="));
      const zoomed = await rangeOf(page);
      const isNear = (share: number, expected: number) => Math.abs(share - expected) < 0.02;
      const width = zoomed[1] - zoomed[0];
      ok(isNear(width / (to - from), 0.25), `the fingers had a quarter of ${[from, to]}: ${zoomed}`);
      ok(isNear((zoomed[0] - from) / (to - from), 0.375), `the middle stays between the fingers: ${zoomed}`);

      await touch([0.2], [0.3], [0.7]);
      await eventually("the range to move", async () => (await rangeOf(page))[0] !== zoomed[0]);
      const moved = await rangeOf(page);
      ok(isNear((zoomed[0] - moved[0]) / width, 0.5), `half of ${zoomed} to the past: ${moved}`);
      ok(isNear((moved[1] - moved[0]) / width, 1), `as wide as ${zoomed}: ${moved}`);
    });
  }),
);

Deno.test(
  "times are in the viewer's zone, which the page names",
  onPlace({}, async (place) => {
    await using monitor = await Monitor.start(place);
    const at = Date.UTC(2026, 6, 14, 21, 30);
    await place.publisher.send(beats({ customer: "ada", from: 60, bpm: 30 }, at));
    await place.consumeAll();
    const url = `${monitor.origin}/customer?id=ada&from=2026-07-14T21:00:00Z&to=2026-07-14T22:00:00Z`;
    for (const [zone, clock, day] of [["Europe/Berlin", "23:29", 14], ["Asia/Tokyo", "06:29", 15]] as const) {
      await withTab(monitor, { zone }, async ({ page }) => {
        await page.goto(url);
        match(await textOf(page, "[data-zone]"), new RegExp(zone));
        await untilShown(page, "#episodes table", new RegExp(clock));
        const from = await page.$eval("input[name=from]", (input) => input.value);
        match(
          from,
          new RegExp(`^2026-07-${zone === "Asia/Tokyo" ? 15 : 14}T${zone === "Asia/Tokyo" ? "06" : "23"}:00`),
        );
        match(await textOf(page, "#episodes table"), new RegExp(`\\b${day}\\b`));
        await Promise.all([page.waitForNavigation(), page.click("form[data-range] button")]);
        deepStrictEqual(await rangeOf(page), [Date.UTC(2026, 6, 14, 21), Date.UTC(2026, 6, 14, 22)]);
      });
    }
  }),
);

Deno.test(
  "the range of a customer is downloaded as CSV with every reading, and no cell is a formula",
  onPlace({}, async (place) => {
    await using monitor = await Monitor.start(place);
    const sent = beats({ customer: "=1+1", from: 600, bpm: (ago) => 60 + ago % 7 });
    await place.publisher.send(sent);
    await place.consumeAll();
    await withTab(monitor, {}, async ({ page, downloads }) => {
      await page.goto(`${monitor.origin}/customer?id=${encodeURIComponent("=1+1")}&last=1h`);
      await page.click("a[href^='/customer.csv']");
      const text = await eventually("the downloaded file", async () => {
        const names = await Array.fromAsync(Deno.readDir(downloads), ({ name }) => name);
        const name = names.find((name) => name.endsWith(".csv"));
        return name !== undefined && await Deno.readTextFile(`${downloads}/${name}`);
      });
      const [header, ...lines] = text.trimEnd().split(/\r?\n/);
      match(header ?? "", /^customer_id,ts,heart_rate,anomaly$/);
      const rows = await place.sql<{ ts: Date; heart_rate: number }>(
        "select ts, heart_rate from public.heartbeats order by ts",
      );
      strictEqual(lines.length, sent.length);
      deepStrictEqual(
        lines.map((line) => line.split(",")).map(([, ts = "", bpm]) => [Date.parse(ts), Number(bpm)]),
        rows.map(({ ts, heart_rate }) => [ts.getTime(), heart_rate]),
      );
      ok(lines.every((line) => !/^"?=/.test(line)), "a spreadsheet would compute the customer's id");
    });
  }),
);
