import { deepStrictEqual, doesNotMatch, match, ok, rejects, strictEqual } from "node:assert";
import { connect } from "node:net";
import { eventually } from "../../lab/eventually.ts";
import { UsageError } from "../../workers/_shared/errors.ts";
import { SERVER_LIMITS } from "../../workers/monitor/server/serve.ts";
import { asset } from "../../workers/monitor/assets/assets.ts";
import { Authority } from "../support/certificates.ts";
import { EndlessStream, MonitorPage } from "../support/monitor_page.ts";
import { ask, SlowClients } from "../support/raw_http.ts";

const HEADERS: Readonly<Record<string, RegExp>> = {
  "content-security-policy":
    /^default-src 'none'; script-src 'self'; style-src 'self'; .*frame-ancestors 'none'$/,
  "x-content-type-options": /^nosniff$/,
  "referrer-policy": /^same-origin$/,
  "permissions-policy": /camera=\(\)/,
  "cross-origin-opener-policy": /^same-origin$/,
  "cross-origin-resource-policy": /^same-origin$/,
  "cache-control": /^no-store$/,
};
const QUICK = { ...SERVER_LIMITS, requestTimeoutMs: 1_000 };

const requestText = (page: MonitorPage, path: string, more = "", method = "GET") =>
  `${method} ${path} HTTP/1.1\r\nHost: 127.0.0.1:${page.port}\r\n${more}\r\n`;

Deno.test("every answer has the security headers, also a refusal and an error", async () => {
  await using page = await MonitorPage.open();
  const cookie = await page.enter();
  const answers = {
    200: await page.ask("/", { headers: { cookie } }),
    401: await page.ask("/"),
    403: await page.ask("/", { headers: { host: "evil.example" } }),
    404: await page.ask("/nothing", { headers: { cookie } }),
    405: await page.ask("/", { method: "PUT" }),
    413: await page.ask("/logout", { method: "POST", body: "x".repeat(5_000) }),
    500: await page.ask("/broken", { headers: { cookie } }),
    303: await page.ask(page.address()),
  };
  for (const [status, { headers, ...answer }] of Object.entries(answers)) {
    strictEqual(answer.status, Number(status));
    for (const [name, expected] of Object.entries(HEADERS)) {
      match(String(headers[name]), expected, `${status} ${name}`);
    }
    doesNotMatch(String(headers["content-security-policy"]), /unsafe|\*|https?:/);
  }
  const style = await page.ask(asset("style.css"));
  strictEqual(style.headers["cache-control"], "private, max-age=31536000, immutable");
  match(String(style.headers["content-security-policy"]), /default-src 'none'/);
});

Deno.test("only GET, HEAD and POST are supported", async () => {
  await using page = await MonitorPage.open();
  const cookie = await page.enter();
  for (const method of ["PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"]) {
    const answer = await ask(
      page.port,
      requestText(page, "/", `Cookie: ${cookie}\r\nContent-Length: 0\r\n`, method),
    );
    match(answer, /^HTTP\/1\.1 405 .*allow: GET, HEAD, POST/is, method);
    doesNotMatch(answer, /heartbeat_session/);
  }
  doesNotMatch(
    await ask(page.port, "CONNECT evil.example:80 HTTP/1.1\r\nHost: evil.example:80\r\n\r\n"),
    / 200 /,
  );
  const head = await ask(
    page.port,
    requestText(page, "/", `Cookie: ${cookie}\r\nConnection: close\r\n`, "HEAD"),
  );
  match(head, /^HTTP\/1\.1 200 .*\r\n\r\n$/s);
});

Deno.test("too large headers and bodies are refused, and so is a body of unknown length", async () => {
  await using page = await MonitorPage.open();
  const close = "Connection: close\r\n";
  match(
    await ask(page.port, requestText(page, "/", `X: ${"a".repeat(15_000)}\r\n${close}`)),
    /^HTTP\/1\.1 401 /,
  );
  match(
    await ask(page.port, requestText(page, "/", `X: ${"a".repeat(17_000)}\r\n${close}`)),
    /^HTTP\/1\.1 431 /,
  );
  // The server answers without waiting for the body.
  for (const method of ["POST", "GET"]) {
    match(
      await ask(page.port, requestText(page, "/login", "Content-Length: 4097\r\n", method)),
      /^HTTP\/1\.1 413 /,
    );
    match(
      await ask(page.port, requestText(page, "/login", "Transfer-Encoding: chunked\r\n", method)),
      /^HTTP\/1\.1 411 /,
    );
  }
  const both = "Transfer-Encoding: chunked\r\nContent-Length: 1\r\n";
  match(await ask(page.port, requestText(page, "/login", both, "POST")), /^HTTP\/1\.1 4\d\d /);
});

Deno.test("clients that never finish their request are disconnected, and others are answered", async (t) => {
  const kinds = {
    "send nothing": () => "",
    "stop in the middle of a line": () => "GET /live",
    "stop in the middle of their headers": (page: MonitorPage) => requestText(page, "/").slice(0, -2),
    "stop in the middle of a body": (page: MonitorPage) =>
      requestText(page, "/login", `Content-Length: 50\r\nOrigin: ${page.origin}\r\n`, "POST") + "pass",
  };
  for (const [what, sent] of Object.entries(kinds)) {
    await t.step(what, async () => {
      const env = { MONITOR_PASSWORD: "correct horse battery" };
      await using page = await MonitorPage.open({ limits: QUICK, env });
      await using slow = new SlowClients();
      await slow.connect(page.port, 50, sent(page));
      strictEqual((await page.ask("/")).status, 401);
      await eventually("the server to close all slow connections", () => slow.open === 0, {
        seen: () => slow.open,
      });
    });
  }
  await t.step("do not finish the TLS handshake", async () => {
    const authority = new Authority("monitor test");
    const { certificate, key } = authority.issue("monitor", { names: ["127.0.0.1"] });
    await using page = await MonitorPage.open({
      limits: QUICK,
      env: { MONITOR_TLS_CERT_FILE: "/cert", MONITOR_TLS_KEY_FILE: "/key" },
      files: { "/cert": certificate, "/key": key },
      ca: authority.certificate,
    });
    await using slow = new SlowClients();
    await slow.connect(page.port, 50, "\x16\x03\x01");
    strictEqual((await page.ask("/")).status, 401);
    await eventually("the server to close all slow connections", () => slow.open === 0, {
      seen: () => slow.open,
    });
  });
});

Deno.test("a viewer who vanishes cancels its stream, and a stream may last longer than a request", async () => {
  const live = new EndlessStream(0);
  const routes = (app: { get: (path: string, answer: () => Response) => unknown }) =>
    void app.get("/live/now", () => live.response());
  await using page = await MonitorPage.open({ limits: QUICK, routes });
  const cookie = await page.enter();
  {
    await using viewers = new SlowClients();
    await viewers.connect(page.port, 20, requestText(page, "/live/now", `Cookie: ${cookie}\r\n`));
    await eventually("the streams to begin", () => live.pulled > 0);
    // A later request that is not finished is closed, so the limit has passed for the streams, too.
    match(await ask(page.port, "GET /"), /^HTTP\/1\.1 408 /);
    deepStrictEqual([viewers.open, live.cancelled], [20, 0]);
  }
  await eventually("all streams to be cancelled", () => live.cancelled === 20, {
    seen: () => live.cancelled,
  });
  strictEqual((await page.ask("/live/now", { method: "HEAD", headers: { cookie } })).status, 200);
  await eventually("the stream of HEAD to be cancelled", () => live.cancelled === 21);
  deepStrictEqual(page.failedBodies, []);
});

Deno.test("a viewer who reads nothing holds its stream back, and is disconnected when the stream fails", async () => {
  const live = new EndlessStream(64 * 1024);
  await using page = await MonitorPage.open({
    routes: (app) => void app.get("/live/now", () => live.response()),
  });
  const cookie = await page.enter();
  const viewer = connect(page.port, "127.0.0.1");
  const closed = new Promise<void>((resolve) => viewer.once("close", () => resolve()));
  viewer.on("error", () => {});
  viewer.write(requestText(page, "/live/now", `Cookie: ${cookie}\r\n`));
  let before = -1;
  await eventually("the stream to stand still", async () => {
    const pulled = live.pulled;
    await new Promise((resolve) => setTimeout(resolve, 300));
    before = live.pulled;
    return pulled > 0 && before === pulled;
  });
  ok(before * live.chunkBytes < 16 * 1024 * 1024, `the server has sent or buffered ${before} chunks`);
  const error = new Error("customer 4711 is too slow");
  live.fail(error);
  let received = "";
  viewer.on("data", (part) => received += part.toString("latin1"));
  await closed;
  deepStrictEqual(page.failedBodies, [error], "the failure is reported once");
  doesNotMatch(received, /4711/);
});

Deno.test("an answer that fails half-way is cut off, so that it does not look complete", async () => {
  const live = new EndlessStream(10);
  await using page = await MonitorPage.open({
    routes: (app) => void app.get("/live/now", () => live.response()),
  });
  const cookie = await page.enter();
  const answer = page.ask("/live/now", { headers: { cookie } });
  await eventually("the answer to begin", () => live.pulled > 10);
  live.fail(new Error("gone"));
  await rejects(answer);
});

Deno.test("a new connection closes the oldest idle one, never a viewer's stream", async () => {
  const live = new EndlessStream(0);
  await using page = await MonitorPage.open({
    limits: { ...SERVER_LIMITS, connections: 30 },
    routes: (app) => void app.get("/live/now", () => live.response()),
  });
  const cookie = await page.enter();
  const stream = requestText(page, "/live/now", `Cookie: ${cookie}\r\n`);
  await using viewers = new SlowClients();
  await viewers.connect(page.port, 20, stream);
  await using answered = new SlowClients();
  await answered.connect(page.port, 5, requestText(page, "/"));
  await using idle = new SlowClients();
  await idle.connectAtOnce(page.port, 100, "GET /");
  await eventually("the server to keep ten others", () => idle.open + answered.open <= 10, {
    seen: () => idle.open,
  });
  deepStrictEqual([viewers.open, live.cancelled, answered.open], [20, 0, 0]);
  strictEqual((await page.ask("/")).status, 401);
  // Without an idle connection, the new one is closed.
  await viewers.connect(page.port, 10, stream);
  await eventually("thirty streams", () => viewers.open === 30 && idle.open === 0);
  strictEqual(await ask(page.port, requestText(page, "/")), "");
  strictEqual(live.cancelled, 0);
});

Deno.test("the server closes at once with open streams and half-open requests", async () => {
  const live = new EndlessStream(0);
  const page = await MonitorPage.open({ routes: (app) => void app.get("/live/now", () => live.response()) });
  const cookie = await page.enter();
  await using clients = new SlowClients();
  await clients.connect(page.port, 5, requestText(page, "/live/now", `Cookie: ${cookie}\r\n`));
  await clients.connect(page.port, 5, "GET /");
  await eventually("the streams to begin", () => live.pulled > 0);
  const from = performance.now();
  await page[Symbol.asyncDispose]();
  ok(performance.now() - from < 1_000);
  await eventually("the streams to be cancelled", () => live.cancelled === 5);
  await rejects(page.ask("/"));
});

Deno.test("a taken port is an error if it was set, and otherwise another port is used", async () => {
  await using first = await MonitorPage.open();
  const port = String(first.port);
  await rejects(
    MonitorPage.open({ env: { MONITOR_PORT: port } }),
    (error) =>
      error instanceof UsageError &&
      error.message === `Cannot listen on 127.0.0.1 port ${port}: is taken by another program; ` +
          "set MONITOR_PORT, or 0 for any free port",
  );
  await using second = await MonitorPage.open({ env: { MONITOR_PORT: "" } });
  await using third = await MonitorPage.open({ env: { MONITOR_PORT: "" } });
  ok(second.port !== third.port && third.port !== 8787);
  strictEqual((await third.ask(third.address())).status, 303);
});
