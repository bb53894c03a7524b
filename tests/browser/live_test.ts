/// <reference lib="dom" />
import { doesNotMatch, match, strictEqual } from "node:assert";
import { sayProgress } from "../../stack/output.ts";
import { textOf, untilShown, withTab } from "../support/browser.ts";
import { reading } from "../../lab/beats.ts";
import { Monitor } from "../../lab/monitor.ts";
import { onPlace } from "../support/services.ts";

/** The next consumer gets the partitions of a killed one only after this timeout. */
const QUICK = { KAFKA_SESSION_TIMEOUT_MS: "6000" };

Deno.test(
  "a reading that is produced appears on an open page within a second of its commit",
  onPlace({}, async (place) => {
    await using monitor = await Monitor.start(place);
    const consumer = place.consumer();
    await consumer.untilReady();
    await withTab(monitor, {}, async ({ page }) => {
      const tookMs: number[] = [];
      for (const customer of ["ada", "bob", "cleo", "dora", "emil"]) {
        const shown = page.waitForFunction(
          (id) => document.querySelector("#attention")?.textContent?.includes(id) && Date.now(),
          { polling: "mutation", timeout: 60_000 },
          customer,
        );
        await place.publisher.send([reading(customer, Date.now(), 195)]);
        const at = Number(await (await shown).jsonValue());
        const [row] = await place.sql<{ ms: number }>(
          "select extract(epoch from max(last_batch_at))::float8 * 1000 as ms from public.ingest_offsets",
        );
        tookMs.push(at - (row?.ms ?? NaN));
      }
      match(await textOf(page, "#attention"), /ada.*high 195 bpm/s);
      // A busy machine may be slower, so the time is printed and not asserted.
      sayProgress(`from commit to screen: ${tookMs.map((ms) => `${Math.round(ms)} ms`).join(", ")}`);

      // The pages of a customer and of the ledger follow as well.
      await page.goto(`${monitor.origin}/customer?id=ada&last=1h`);
      await place.publisher.send([reading("ada", Date.now(), 61)]);
      await untilShown(page, "#latest", /\b61 bpm/);
      await page.goto(`${monitor.origin}/ledger`);
      await place.publisher.send([{ value: "no json" }]);
      await untilShown(page, "#logs", /\b7\s+6\s+0\s+1\b/);
      await page.goto(`${monitor.origin}/rejects`);
      await place.publisher.send([{ value: "no json either" }]);
      // The list does not move while somebody reads it.
      await untilShown(page, "#rejects", /1 new reject – show/);
      doesNotMatch(await textOf(page, "#rejects"), /no json either/);
      await Promise.all([page.waitForNavigation(), page.click("a[data-rejected]")]);
      await untilShown(page, "#rejects", /no json either/);
      // A reject has an address of its own, whose page is not live.
      await Promise.all([page.waitForNavigation(), page.click("a[href*='record=']")]);
      match(await textOf(page, "#rejects"), /no json either/);
      match(await textOf(page, "header"), /as of .*, not live/);
    });
  }),
);

Deno.test(
  "every page says what to expect while the pipeline is empty, and fills without a reload",
  onPlace({}, async (place) => {
    await using monitor = await Monitor.start(place);
    await withTab(monitor, {}, async ({ page }) => {
      await untilShown(page, "#state", /no consumer|consumer/i);
      const consumer = place.consumer();
      await consumer.untilReady();
      await untilShown(page, "#state", /No reading has arrived yet/);
      match(await textOf(page, "#attention"), /No customers yet/);
      for (
        const [path, text] of [
          ["/customer?id=nobody", /No reading of this customer is stored/],
          ["/rejects", /No record was rejected/],
          ["/ledger", /Unaccounted: 0/],
        ] as const
      ) {
        await page.goto(monitor.origin + path);
        match(await textOf(page, "main"), text);
      }
      await page.goto(monitor.origin);
      await place.publisher.send([reading("ada", Date.now(), 70)]);
      await untilShown(page, "#state", /The pipeline is well/);
      await untilShown(page, "#attention", /No customer needs attention/);
    });
  }),
);

Deno.test(
  "an open page says that the consumer stopped, and that it is back",
  onPlace({}, async (place) => {
    await using monitor = await Monitor.start(place);
    const first = place.consumer({ env: QUICK });
    await place.publisher.send([reading("ada", Date.now(), 70)]);
    await withTab(monitor, {}, async ({ page }) => {
      await untilShown(page, "#state", /The pipeline is well/);
      first.kill("SIGKILL");
      await untilShown(page, "#state", /problem.*consumer/s);
      await untilShown(
        page,
        "#attention",
        /Unknown since \d\d:\d\d:\d\d: the pipeline has stopped/,
      );
      await untilShown(page, "#connection", /not current/);
      await page.goto(`${monitor.origin}/ledger`);
      await untilShown(page, "#state", /problem with the consumer/);
      await untilShown(page, "#unaccounted", /nothing was read for \d/);
      await page.goto(monitor.origin);
      place.consumer({ env: QUICK });
      await untilShown(page, "#state", /The pipeline is well/);
    });
  }),
);

Deno.test(
  "an open page says that the database stopped, and continues when it is back",
  onPlace({}, async (place) => {
    await using monitor = await Monitor.start(place);
    place.consumer();
    await place.publisher.send([reading("ada", Date.now(), 195)]);
    await withTab(monitor, {}, async (tab) => {
      const { page } = tab;
      await untilShown(page, "#attention", /ada/);
      await untilShown(page, "#connection", /live/i);
      await untilShown(page, "#state", /The pipeline is well/);
      await place.stack.postgres.stop();
      try {
        await untilShown(
          page,
          "#past",
          /Pipeline state unknown since \d\d:\d\d:\d\d\. Last known state: The pipeline is well$/,
        );
        strictEqual(await page.$eval("#state", (state) => state.checkVisibility()), false);
        await untilShown(page, "#connection", /PostgreSQL.*does not answer/s);
        // The last state stays, with its age.
        await untilShown(page, "#connection", /last update [5-9] s ago/);
        match(await textOf(page, "#attention"), /ada/);
        // A page that is opened now says the same.
        tab.expect(/503/);
        const other = await page.browserContext().newPage();
        await other.goto(`${monitor.origin}/rejects`);
        match(await textOf(other, "main"), /cannot be read|does not answer/);
        await other.close();
        await page.bringToFront();
      } finally {
        await place.stack.postgres.start();
      }
      await untilShown(page, "#state", /The pipeline is well/);
      await place.publisher.send([reading("bob", Date.now(), 196)]);
      await untilShown(page, "#attention", /bob/);
      await untilShown(page, "#connection", /live/i);
    });
  }),
);

Deno.test(
  "an open page says that the monitor stopped, and asks to sign in when it is back",
  onPlace({}, async (place) => {
    await using monitor = await Monitor.start(place);
    await withTab(monitor, {}, async (tab) => {
      await untilShown(tab.page, "#connection", /live/i);
      tab.expect(/ERR_CONNECTION_REFUSED|ERR_INCOMPLETE_CHUNKED_ENCODING|ERR_CONNECTION_RESET|40[13]/);
      await monitor.worker.stop();
      await untilShown(tab.page, "#connection", /disconnected.*trying again/s);
      await using again = await Monitor.start(place, { MONITOR_PORT: new URL(monitor.origin).port });
      // Sessions live in the memory of the monitor.
      await untilShown(tab.page, "#connection", /session has ended.*address that the terminal shows/s);
      await tab.page.goto(await again.address());
      await untilShown(tab.page, "#connection", /live/i);
    });
  }),
);
