import { deepStrictEqual, match, strictEqual } from "node:assert";
import { REBOUND_HOST, Tab } from "../../lab/browser.ts";
import { browser, textOf } from "../support/browser.ts";
import { reading } from "../../lab/beats.ts";
import { Monitor } from "../../lab/monitor.ts";
import { onPlace } from "../support/services.ts";

const PATHS = [
  "/",
  "/customer?id=ada",
  "/customer/data?id=ada&from=0&to=1000",
  "/customer.csv?id=ada&from=0&to=1000",
  "/customers?prefix=a",
  "/rejects",
  "/ledger",
  "/live/now",
  "/live/ledger",
  "/live/rejects",
  "/live/customer?id=ada",
];

const PASSWORD = "correct horse battery";

/** Opens an address in a tab without cookies. */
async function visit(url: string): Promise<{ status: number | undefined; text: string }> {
  await using tab = await Tab.open(await browser(), new URL(url).origin);
  const answer = await tab.page.goto(url);
  return { status: answer?.status(), text: await textOf(tab.page, "body") };
}

Deno.test(
  "without the cookie nothing is served: no page, no stream, no data, and the refusal says what to do",
  onPlace({}, async (place) => {
    await using monitor = await Monitor.start(place);
    await place.publisher.send([reading("ada", Date.now(), 200)]);
    await place.consumeAll();
    for (const path of PATHS) {
      const answer = await fetch(monitor.origin + path, { redirect: "manual" });
      const text = await answer.text();
      strictEqual(answer.status, 401, `${path}: ${text}`);
      strictEqual(text.includes("200 bpm"), false);
    }
    match((await visit(monitor.origin)).text, /Open the address that the terminal shows/);
  }),
);

Deno.test(
  "a token is good for one browser: a second one and a wrong one are refused, and the next address works",
  onPlace({}, async (place) => {
    await using monitor = await Monitor.start(place);
    const address = await monitor.address();
    await using first = await Tab.open(await browser(), monitor.origin);
    await first.page.goto(address);
    strictEqual(new URL(first.page.url()).search, "", "the token does not stay in the address");
    match(await textOf(first.page, "h1"), /Now/);
    const [cookie] = await first.page.browserContext().cookies();
    deepStrictEqual(
      // Browsers send a cookie to all ports of a host, so the name has the port.
      [cookie?.name, cookie?.httpOnly, cookie?.sameSite, cookie?.path],
      [`heartbeat_session_${new URL(monitor.origin).port}`, true, "Strict", "/"],
    );
    for (const url of [address, address.replace(/token=.*/, "token=wrong")]) {
      const { status, text } = await visit(url);
      deepStrictEqual([status, /address that the terminal shows/.test(text)], [403, true], text);
    }
    const { status } = await visit(await monitor.address());
    strictEqual(status, 200);
    // The first browser keeps its session.
    await first.page.reload();
    match(await textOf(first.page, "h1"), /Now/);
    deepStrictEqual(first.faults, []);
  }),
);

Deno.test(
  "a foreign Host is refused, even with a good token: a page of another site cannot read data by DNS rebinding",
  onPlace({}, async (place) => {
    await using monitor = await Monitor.start(place);
    const address = await monitor.address();
    const rebound = address.replace("127.0.0.1", REBOUND_HOST);
    strictEqual((await visit(rebound)).status, 403);
    // The refusal did not spend the token.
    await using tab = await Tab.open(await browser(), monitor.origin);
    await tab.page.goto(address);
    match(await textOf(tab.page, "h1"), /Now/);
    const style = await tab.page.$eval("link[rel=stylesheet]", (link) => link.href);
    strictEqual((await visit(style)).status, 200);
    strictEqual((await visit(style.replace("127.0.0.1", REBOUND_HOST))).status, 403);
  }),
);

Deno.test(
  "signing out ends the session in the monitor, too: the old cookie and the button Back show no data",
  onPlace({}, async (place) => {
    await using monitor = await Monitor.start(place, { MONITOR_PASSWORD: PASSWORD });
    await using tab = await Tab.open(await browser(), monitor.origin);
    const { page } = tab;
    await page.goto(`${monitor.origin}/rejects?reason=invalid_json`);
    await page.type("input[type=password]", PASSWORD);
    await Promise.all([page.waitForNavigation(), page.keyboard.press("Enter")]);
    strictEqual(page.url(), `${monitor.origin}/rejects?reason=invalid_json`);
    const cookies = await page.browserContext().cookies();
    await Promise.all([page.waitForNavigation(), page.click("form[action='/logout'] button")]);
    const assertSignedOut = async () => strictEqual((await page.$$("input[type=password]")).length, 1);
    await assertSignedOut();
    await page.goBack();
    await page.waitForSelector("input[type=password]");
    await page.browserContext().setCookie(...cookies);
    await page.goto(monitor.origin);
    await assertSignedOut();
    deepStrictEqual(tab.faults, []);
  }),
);
