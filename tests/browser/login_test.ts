/// <reference lib="dom" />
import { deepStrictEqual, match, strictEqual } from "node:assert";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { Tab } from "../../lab/browser.ts";
import { assertAccessible, browser, textOf } from "../support/browser.ts";
import { MonitorPage } from "../support/monitor_page.ts";

/** Serves a page on this machine. For a browser, `localhost` is another site than 127.0.0.1, and another port another origin. */
async function withSite(html: string, body: (port: number) => Promise<void>): Promise<void> {
  const site = createServer((_, response) => response.setHeader("content-type", "text/html").end(html));
  await new Promise<void>((resolve) => site.listen(0, "127.0.0.1", resolve));
  try {
    await body((site.address() as AddressInfo).port);
  } finally {
    site.close();
    site.closeAllConnections();
  }
}

const PASSWORD = "correct horse battery staple";

Deno.test("a viewer signs in with the keyboard, after a wrong password, and gets the page that was asked for", async () => {
  await using monitor = await MonitorPage.open({ env: { MONITOR_PASSWORD: PASSWORD } });
  for (const scheme of ["light", "dark"] as const) {
    await using tab = await Tab.open(await browser(), monitor.origin, { width: 360, scheme });
    // The answer to the wrong password, and the icon of the page of plain text.
    tab.expect(/401|404/);
    const { page } = tab;
    await page.goto(`${monitor.origin}/customer?id=a%26b`);
    await assertAccessible(page);
    await page.keyboard.type("a wrong password");
    await Promise.all([page.waitForNavigation(), page.keyboard.press("Enter")]);
    match(await textOf(page, "[role=alert]"), /The password is wrong/);
    await assertAccessible(page);
    await page.keyboard.type(PASSWORD);
    await Promise.all([page.waitForNavigation(), page.keyboard.press("Enter")]);
    strictEqual(page.url(), `${monitor.origin}/customer?id=a%26b`);
    strictEqual(await textOf(page, "body"), "the data of a&b");
    deepStrictEqual(tab.faults, []);
  }
});

Deno.test("a link on another site opens the page of a viewer who is signed in", async () => {
  await using monitor = await MonitorPage.open();
  await withSite(`<a href="${monitor.origin}/customer?id=ada">ada</a>`, async (port) => {
    await using tab = await Tab.open(await browser(), monitor.origin);
    const { page } = tab;
    await page.goto(monitor.address());
    await page.goto(`http://localhost:${port}`);
    await page.click("a");
    await page.waitForFunction(() => document.body.innerText === "the data of ada");
    strictEqual(page.url(), `${monitor.origin}/customer?id=ada`);
  });
});

Deno.test("a form on another site, or on another port of this machine, cannot sign a viewer out", async () => {
  await using monitor = await MonitorPage.open();
  const form = `<form method="post" action="${monitor.origin}/logout"><button>x</button></form>`;
  await withSite(form, async (port) => {
    await using tab = await Tab.open(await browser(), monitor.origin);
    const { page } = tab;
    await page.goto(monitor.address());
    for (const host of ["localhost", "127.0.0.1"]) {
      await page.goto(`http://${host}:${port}`);
      const [answer] = await Promise.all([page.waitForNavigation(), page.click("button")]);
      strictEqual(answer?.status(), 403, host);
    }
    await page.goto(monitor.origin);
    strictEqual(await textOf(page, "body"), "the data");
  });
});
