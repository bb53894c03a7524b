import { deepStrictEqual, match, notStrictEqual, ok, strictEqual } from "node:assert";
import { textOf, withTab } from "../support/browser.ts";
import { reading } from "../../lab/beats.ts";
import { Monitor } from "../../lab/monitor.ts";
import { onPlace } from "../support/services.ts";

const SCRIPT = `<script>document.title = "owned"</script><img src=x onerror="document.title = 'owned'">`;
const CUSTOMER = `"><script>document.title = "owned"</script>`;
/** A right-to-left override, a terminal's escape sequence, and a zero. */
const CONTROLS = "a\u202eb\u001b[31mc\u0000";

Deno.test(
  "text from records is shown as text: scripts in payloads and ids do not run, control characters are visible",
  onPlace({}, async (place) => {
    await using monitor = await Monitor.start(place);
    await place.publisher.send([
      { value: `{"customer_id": ${SCRIPT}` },
      { value: Uint8Array.of(0xff, 0xfe, 0x3c, 0x73) },
      { value: { customer_id: CUSTOMER, timestamp: "never", heart_rate: 70 } },
      { value: CONTROLS },
      reading(CUSTOMER, Date.now(), 200),
    ]);
    await place.consumeAll();
    await withTab(monitor, {}, async ({ page }) => {
      const assertHarmless = async () => {
        notStrictEqual(await page.title(), "owned");
        strictEqual(await page.$("main script, main img, datalist script"), null);
      };
      match(await textOf(page, "#attention"), /"><script>document\.title/);
      await assertHarmless();
      await page.goto(`${monitor.origin}/rejects`);
      const payloads = await page.$$eval(
        "pre.payload",
        (found) => found.map(({ textContent }) => textContent ?? ""),
      );
      ok(payloads.includes(`{"customer_id": ${SCRIPT}`), payloads.join("\n"));
      ok(payloads.some((payload) => /^ff ?fe ?3c ?73$/i.test(payload)), payloads.join("\n"));
      const text = await page.$eval("main", (main) => main.textContent ?? "");
      ok(!["\u202e", "\u001b", "\0"].some((control) => text.includes(control)), JSON.stringify(text));
      match(payloads.join("\n"), /a\\u202eb|61\s?e280ae\s?62/i);
      await assertHarmless();
      await page.goto(`${monitor.origin}/customer?id=${encodeURIComponent(CUSTOMER)}`);
      strictEqual(await textOf(page, "h1"), `Customer ${CUSTOMER}`);
      match(await textOf(page, "main"), /invalid_timestamp/);
      await page.type("input[data-customer-search]", "");
      await assertHarmless();
    });
  }),
);

Deno.test(
  "rejects are filtered by reason, customer and time, and the address keeps the filter",
  onPlace({}, async (place) => {
    await using monitor = await Monitor.start(place);
    const bad = (customer_id: string, heart_rate: number) => ({
      value: { customer_id, timestamp: new Date().toISOString(), heart_rate },
    });
    await place.publisher.send([bad("ada", 0), bad("bob", 999), { value: "no json" }, {
      value: null,
      key: "ada",
    }]);
    await place.consumeAll();
    await withTab(monitor, {}, async ({ page }) => {
      await page.goto(`${monitor.origin}/rejects`);
      const count = () => page.$$eval("#rejects tbody tr", (rows) => rows.length);
      strictEqual(await count(), 4);
      match(await textOf(page, "#rejects"), /the record has no value/);
      const submit = () => Promise.all([page.waitForNavigation(), page.click("form[data-range] button")]);
      await page.select("select[name=reason]", "heart_rate_out_of_range");
      await submit();
      strictEqual(await count(), 2);
      await page.type("form[data-range] input[name=customer]", "bob");
      await submit();
      strictEqual(await count(), 1);
      const { searchParams } = new URL(page.url());
      deepStrictEqual([searchParams.get("reason"), searchParams.get("customer")], [
        "heart_rate_out_of_range",
        "bob",
      ]);
      await page.reload();
      strictEqual(await count(), 1);
      strictEqual(await page.$eval("select[name=reason]", ({ value }) => value), "heart_rate_out_of_range");
      await page.goto(`${monitor.origin}/rejects?from=2026-01-01T00:00:00Z&to=2026-01-02T00:00:00Z`);
      match(await textOf(page, "main"), /No record was rejected in this range/);
    });
  }),
);
