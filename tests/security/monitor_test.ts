import { deepStrictEqual, doesNotMatch, match, notStrictEqual, ok, strictEqual } from "node:assert";
import { eventually } from "../../lab/eventually.ts";
import { asset } from "../../workers/monitor/assets/assets.ts";
import { EndlessStream, MonitorPage } from "../support/monitor_page.ts";
import { ask } from "../support/raw_http.ts";

const HTML = { accept: "text/html,application/xhtml+xml" };

Deno.test("without a cookie, every page and live stream is refused, and only assets are served", async () => {
  await using page = await MonitorPage.open();
  for (
    const path of [
      "/",
      "/customer?id=a",
      "/live/now",
      "/nothing",
      "/?token=",
      "/assets/../",
      "//",
      "/login/",
      "/assets/%2e%2e/customer",
    ]
  ) {
    const { status, text } = await page.ask(path, { headers: HTML });
    match(text, /Open the address that the terminal shows/, path);
    strictEqual(status === 401 || status === 403, true, `${path} was answered with ${status}`);
  }
  const { status, text } = await page.ask(asset("style.css"));
  strictEqual(status, 200);
  match(text, /body/);
});

Deno.test("a foreign Host is refused, even with a valid cookie, and with a token that stays unused", async () => {
  await using page = await MonitorPage.open();
  const address = page.address();
  const cookie = await page.enter();
  const { port } = page;
  const foreign = [
    "evil.example",
    `evil.example:${port}`,
    `localhost:${port}`,
    "127.0.0.1",
    `127.0.0.1.:${port}`,
  ];
  for (const host of foreign) {
    for (const path of ["/", asset("style.css"), "/login", new URL(page.address()).search]) {
      const answer = await page.ask(path, { headers: { host, cookie } });
      ok([400, 403].includes(answer.status), `${host} ${path} was answered with ${answer.status}`);
      doesNotMatch(answer.text, /data|body/);
    }
  }
  const twice = `GET / HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nHost: evil.example\r\nCookie: ${cookie}\r\n` +
    "Connection: close\r\n\r\n";
  match(await ask(port, twice), /^HTTP\/1\.1 40[03] /);
  match(
    await ask(port, `GET / HTTP/1.1\r\nHost:\r\nCookie: ${cookie}\r\nConnection: close\r\n\r\n`),
    /^HTTP\/1\.1 40[03] /,
  );
  match(await ask(port, `GET / HTTP/1.0\r\nCookie: ${cookie}\r\n\r\n`), /^HTTP\/1\.1 40[03] /);
  strictEqual((await page.ask("/", { headers: { cookie } })).text, "the data");
  notStrictEqual(page.address(), address);
  strictEqual(page.addresses.length, 1);
});

Deno.test("the one-time address becomes a cookie, leaves the address bar, and works once", async () => {
  await using page = await MonitorPage.open();
  const address = page.address();
  match(address, new RegExp(`^http://127\\.0\\.0\\.1:${page.port}/\\?token=[\\w-]{43}$`));
  strictEqual((await page.ask(address, { method: "HEAD" })).cookie, "", "HEAD does not use up the token");
  const first = await page.ask(address);
  deepStrictEqual([first.status, first.headers.location], [303, `http://127.0.0.1:${page.port}/`]);
  const [set = ""] = first.headers["set-cookie"] as string[];
  match(set, new RegExp(`^heartbeat_session_${page.port}=[\\w-]{43}; Path=/; HttpOnly; SameSite=Strict$`));
  strictEqual((await page.ask("/", { headers: { cookie: first.cookie } })).text, "the data");

  const again = await page.ask(address);
  deepStrictEqual([again.status, again.cookie], [403, ""]);
  match(again.text, /was already used\. Open the address that the terminal shows/);
  const returned = await page.ask(`${address}&id=a%20b`, { headers: { cookie: first.cookie } });
  deepStrictEqual([returned.status, returned.headers.location], [
    303,
    `http://127.0.0.1:${page.port}/?id=a+b`,
  ]);

  deepStrictEqual(page.addresses, [page.address()], "the terminal shows the next address");
  const second = await page.ask(`/customer?id=x&token=${new URL(page.address()).searchParams.get("token")}`);
  strictEqual(second.headers.location, `http://127.0.0.1:${page.port}/customer?id=x`);
  notStrictEqual(second.cookie, first.cookie);
});

Deno.test("a forged cookie and a wrong token are refused", async () => {
  await using page = await MonitorPage.open();
  const cookie = await page.enter();
  for (
    const forged of [
      `${cookie}x`,
      cookie.slice(0, -1),
      cookie.replace(/=.*/, "="),
      "a=b",
      cookie.toUpperCase(),
    ]
  ) {
    strictEqual((await page.ask("/", { headers: { cookie: forged } })).status, 401, forged);
  }
  const token = page.address();
  strictEqual((await page.ask(`${token}x`)).status, 403);
  strictEqual((await page.ask(`${token}&token=x`)).status, 303, "the first one counts");
});

Deno.test("a session ends after 12 h without use, after a week, and at the logout", async () => {
  await using page = await MonitorPage.open();
  const hours = async (count: number, cookie: string) => {
    page.aheadMs += count * 3600_000;
    return (await page.ask("/", { headers: { cookie } })).status;
  };
  const idle = await page.enter();
  deepStrictEqual([await hours(11.9, idle), await hours(11.9, idle), await hours(12, idle)], [200, 200, 401]);
  const old = await page.enter();
  for (let count = 0; count < 15; count++) strictEqual(await hours(11, old), 200);
  strictEqual(await hours(4, old), 401);
  const cookie = await page.enter();
  const { status, headers } = await page.ask("/logout", {
    method: "POST",
    headers: { cookie, origin: page.origin },
  });
  strictEqual(status, 200);
  match(String(headers["set-cookie"]), /=; Max-Age=0; Path=\//);
  strictEqual(await hours(0, cookie), 401);
});

Deno.test("an open live stream keeps its session, and the logout closes the stream", async () => {
  const live = new EndlessStream(0);
  await using page = await MonitorPage.open({
    routes: (app) => void app.get("/live/now", () => live.response()),
  });
  const cookie = await page.enter();
  const stream = ask(
    page.port,
    `GET /live/now HTTP/1.1\r\nHost: 127.0.0.1:${page.port}\r\nCookie: ${cookie}\r\n\r\n`,
  );
  await eventually("the stream to begin", () => live.pulled > 0);
  page.aheadMs += 24 * 3600_000;
  strictEqual((await page.ask("/", { headers: { cookie } })).status, 200);
  await page.ask("/logout", { method: "POST", headers: { cookie, origin: page.origin } });
  match(await stream, /^HTTP\/1\.1 200 /);
  await eventually("the stream to be cancelled", () => live.cancelled === 1);
});

Deno.test("a thousand sessions are kept, and the least recently used one is dropped for a new one", async () => {
  await using page = await MonitorPage.open();
  const cookies = [await page.enter(), await page.enter()];
  for (let count = 0; count < 998; count++) await page.enter();
  const used = (cookie = "") => page.ask("/", { headers: { cookie } });
  strictEqual((await used(cookies[0])).status, 200);
  await page.enter();
  deepStrictEqual([(await used(cookies[0])).status, (await used(cookies[1])).status], [200, 401]);
});

Deno.test("after a click on another site, the page goes on to the login, where the browser sends the cookie", async () => {
  await using page = await MonitorPage.open();
  const cookie = await page.enter();
  const { status, text } = await page.ask("/customer?id=a", {
    headers: { ...HTML, "sec-fetch-site": "cross-site" },
  });
  strictEqual(status, 200);
  doesNotMatch(text, /the data/);
  const [, login = ""] = /<meta http-equiv="refresh" content="0; url=([^"]+)"/.exec(text) ?? [];
  strictEqual((await page.ask(login)).status, 401);
  const { headers } = await page.ask(login, { headers: { cookie } });
  strictEqual(headers.location, `${page.origin}/customer?id=a`);
});
