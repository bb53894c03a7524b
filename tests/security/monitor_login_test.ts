import { deepStrictEqual, doesNotMatch, match, ok, strictEqual } from "node:assert";
import { asset } from "../../workers/monitor/assets/assets.ts";
import { Authority } from "../support/certificates.ts";
import { MonitorPage } from "../support/monitor_page.ts";
import { ask } from "../support/raw_http.ts";

const PASSWORD = "correct horse battery staple";
const WITH_PASSWORD = { MONITOR_PASSWORD: PASSWORD };
const BEHIND_PROXY = {
  MONITOR_PASSWORD: PASSWORD,
  MONITOR_TRUSTED_PROXIES: "127.0.0.1",
  MONITOR_ORIGIN: "https://monitor.example.org",
};
const HTML = { accept: "text/html,application/xhtml+xml" };

Deno.test("a form of another origin is refused, and POST only reaches the login and the logout", async () => {
  await using page = await MonitorPage.open({ env: WITH_PASSWORD });
  const foreign = ["https://evil.example", "null", `http://localhost:${page.port}`, "http://127.0.0.1:1", ""];
  for (const origin of foreign) {
    strictEqual((await page.logIn(PASSWORD, { headers: { origin } })).status, 403, origin);
  }
  const { cookie } = await page.logIn(PASSWORD);
  const logout = await page.ask("/logout", {
    method: "POST",
    headers: { cookie, origin: "https://evil.example" },
  });
  strictEqual(logout.status, 403);
  strictEqual((await page.ask("/", { headers: { cookie } })).text, "the data", "the session is still open");
  const other = await page.ask("/customer", { method: "POST", headers: { cookie, origin: page.origin } });
  strictEqual(other.status, 405);
});

Deno.test("with a password, the login form replaces the one-time address and leads to the wanted page", async () => {
  await using page = await MonitorPage.open({ env: WITH_PASSWORD });
  strictEqual(page.address(), `${page.origin}/`);
  const asked = await page.ask("/customer?id=a%26b&last=8h", { headers: HTML });
  const login = asked.headers.location as string;
  deepStrictEqual([asked.status, login], [303, "/login?to=%2Fcustomer%3Fid%3Da%2526b%26last%3D8h"]);
  strictEqual((await page.ask("/live/now")).status, 401, "a live stream is not redirected");
  const form = await page.ask(login);
  strictEqual(form.status, 200);
  match(
    form.text,
    /^<!doctype html><html lang="en">.*<form method="post" action="\/login\?to=%2Fcustomer%3Fid%3Da%2526b/s,
  );
  const { status, headers, cookie } = await page.logIn(PASSWORD, { to: "/customer?id=a%26b&last=8h" });
  deepStrictEqual([status, headers.location], [303, `${page.origin}/customer?id=a%26b&last=8h`]);
  strictEqual((await page.ask("/", { headers: { cookie } })).text, "the data");
  strictEqual((await page.ask(login, { headers: { cookie } })).status, 303, "no second login");
});

Deno.test("the login never leads to another site", async () => {
  await using page = await MonitorPage.open({ env: WITH_PASSWORD });
  const elsewhere = [
    "//evil.example",
    "/\\evil.example",
    "https://evil.example/",
    "/\t/evil.example",
    "/.//evil.example",
    "javascript:alert(1)",
    "http://",
  ];
  for (const to of elsewhere) {
    const { status, headers } = await page.logIn(PASSWORD, { to });
    strictEqual(status, 303);
    ok(String(headers.location).startsWith(`${page.origin}/`), `${to} leads to ${headers.location}`);
  }
  const injected = await page.ask(`/login?to=${encodeURIComponent('/"><script>alert(1)</script>')}`);
  doesNotMatch(injected.text, /<script|"">/);
});

Deno.test("a client may try ten wrong passwords in 15 min, and then even the right one is refused", async () => {
  await using page = await MonitorPage.open({ env: BEHIND_PROXY });
  const from = (client: string) => ({ headers: { "x-forwarded-for": `6.6.6.6, ${client}` } });
  for (let count = 0; count < 10; count++) {
    const { status, text, cookie } = await page.logIn(count === 0 ? "" : `wrong ${count}`, from("192.0.2.1"));
    deepStrictEqual([status, cookie], [401, ""]);
    match(text, /The password is wrong/);
  }
  const refused = await page.logIn(PASSWORD, from("192.0.2.1"));
  deepStrictEqual([refused.status, refused.cookie], [429, ""]);
  const seconds = Number(refused.headers["retry-after"]);
  ok(seconds > 880 && seconds <= 900, `Retry-After is ${seconds}`);
  deepStrictEqual(page.wrongPasswords, Array(10).fill("192.0.2.1"), "refused attempts are not reported");
  strictEqual((await page.logIn(PASSWORD, from("192.0.2.2"))).status, 303, "other clients may log in");
  page.aheadMs += 15 * 60_000;
  strictEqual((await page.logIn(PASSWORD, from("192.0.2.1"))).status, 303);
});

Deno.test("all clients together may try a hundred wrong passwords in 15 min, and sessions go on", async () => {
  await using page = await MonitorPage.open({ env: BEHIND_PROXY });
  const from = (number: number) => ({ headers: { "x-forwarded-for": `2001:db8::${number.toString(16)}` } });
  const { cookie } = await page.logIn(PASSWORD, from(0));
  for (let count = 0; count < 100; count++) {
    strictEqual((await page.logIn("wrong", from(count))).status, 401);
  }
  strictEqual((await page.logIn(PASSWORD, from(500))).status, 429);
  strictEqual((await page.ask("/", { headers: { cookie } })).status, 200);
});

Deno.test("behind a proxy without TLS, only the proxy is served, and the cookie is Secure", async () => {
  await using page = await MonitorPage.open({ env: BEHIND_PROXY });
  const { headers } = await page.logIn(PASSWORD);
  match(
    String(headers["set-cookie"]),
    /^__Host-heartbeat_session_\d+=[\w-]{43}; Path=\/; HttpOnly; Secure; SameSite=Strict$/,
  );
  await using other = await MonitorPage.open({
    env: { ...BEHIND_PROXY, MONITOR_TRUSTED_PROXIES: "10.0.0.0/8" },
  });
  for (const path of ["/", "/login", asset("style.css")]) {
    const { status, text } = await other.ask(path, { headers: { "x-forwarded-for": "10.0.0.1" } });
    deepStrictEqual([status, text], [
      403,
      "This server accepts requests only from its proxy (MONITOR_TRUSTED_PROXIES).\n",
    ], path);
  }
  strictEqual((await other.logIn(PASSWORD, { headers: { "x-forwarded-for": "10.0.0.1" } })).status, 403);
});

Deno.test("a client without a trusted proxy cannot choose its address", async () => {
  await using page = await MonitorPage.open({ env: WITH_PASSWORD });
  for (let count = 0; count < 10; count++) {
    await page.logIn("wrong", { headers: { "x-forwarded-for": `192.0.2.${count}` } });
  }
  strictEqual((await page.logIn(PASSWORD, { headers: { "x-forwarded-for": "192.0.2.99" } })).status, 429);
  deepStrictEqual(new Set(page.wrongPasswords), new Set(["127.0.0.1"]));
});

Deno.test("with TLS files, the page speaks HTTPS only, and its cookie is Secure", async () => {
  const authority = new Authority("monitor test");
  const { certificate, key } = authority.issue("monitor", { names: ["127.0.0.1"] });
  await using page = await MonitorPage.open({
    env: { ...WITH_PASSWORD, MONITOR_TLS_CERT_FILE: "/cert", MONITOR_TLS_KEY_FILE: "/key" },
    files: { "/cert": certificate, "/key": key },
    ca: authority.certificate,
  });
  match(page.origin, /^https:/);
  const { status, headers, cookie } = await page.logIn(PASSWORD);
  strictEqual(status, 303);
  match(
    String(headers["set-cookie"]),
    /^__Host-heartbeat_session_\d+=[^;]+; Path=\/; HttpOnly; Secure; SameSite=Strict$/,
  );
  strictEqual((await page.ask("/", { headers: { cookie } })).text, "the data");
  doesNotMatch(await ask(page.port, `GET / HTTP/1.1\r\nHost: 127.0.0.1:${page.port}\r\n\r\n`), /^HTTP/);
});
