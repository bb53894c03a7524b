import { deepStrictEqual, doesNotMatch, match, ok, strictEqual } from "node:assert";
import { Registry } from "prom-client";
import { HEALTH_LIMITS, serveHealth } from "../../workers/_shared/health.ts";
import type { HttpServer } from "../../workers/_shared/http_server.ts";
import { Secrets } from "../../workers/_shared/secrets.ts";
import { eventually } from "../../lab/eventually.ts";
import { ask, SlowClients } from "../support/raw_http.ts";

const OPTIONS = { HEALTH_HOST: "127.0.0.1", HEALTH_PORT: 0 };

async function serve(
  reasons: readonly string[] = [],
  secrets = new Secrets(),
  limits = HEALTH_LIMITS,
): Promise<HttpServer> {
  const probes = { live: () => [], ready: () => reasons };
  return await serveHealth(OPTIONS, { probes, metrics: new Registry(), secrets }, limits);
}

const get = (path: string, more = "") => `GET ${path} HTTP/1.1\r\nHost: x\r\n${more}\r\n`;

Deno.test("the health port answers only GET and HEAD, and closes the connection after each response", async () => {
  await using server = await serve();
  for (const path of ["/livez", "/readyz", "/metrics", "/livez?x=1"]) {
    match(await ask(server.port, get(path)), /^HTTP\/1\.1 200 .*\r\nconnection: close\r\n/is);
  }
  match(await ask(server.port, get("/")), /^HTTP\/1\.1 404 /);
  match(await ask(server.port, get("/livez/../secret")), /^HTTP\/1\.1 404 /);
  const head = await ask(server.port, "HEAD /livez HTTP/1.1\r\nHost: x\r\n\r\n");
  match(head, /^HTTP\/1\.1 200 /);
  match(head, /\r\n\r\n$/);
  for (const method of ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"]) {
    const answer = await ask(
      server.port,
      `${method} /livez HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n`,
    );
    match(answer, /^HTTP\/1\.1 405 .*allow: GET, HEAD/is, method);
  }
});

Deno.test("the health port refuses malformed and too large requests, and reads no body", async () => {
  await using server = await serve();
  // The limit is 8 KiB. Node's default would be 16 KiB.
  match(await ask(server.port, get("/livez", `X: ${"a".repeat(7_900)}\r\n`)), /^HTTP\/1\.1 200 /);
  match(await ask(server.port, get("/livez", `X: ${"a".repeat(8_400)}\r\n`)), /^HTTP\/1\.1 431 /);
  doesNotMatch(await ask(server.port, get(`/${"a".repeat(200_000)}`)), /^HTTP\/1\.1 200 /);
  doesNotMatch(await ask(server.port, "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"), / 200 /);
  // The server answers without waiting for the body.
  match(await ask(server.port, get("/livez", "Content-Length: 100000000\r\n")), /^HTTP\/1\.1 200 /);
  match(await ask(server.port, get("/livez")), /^HTTP\/1\.1 200 /);
});

Deno.test("the health port disconnects all clients that never finish their request, and answers other clients", async (t) => {
  const kinds = {
    "send nothing": "",
    "stop in the middle of a line": "GET /live",
    "stop in the middle of their headers": "GET /livez HTTP/1.1\r\nHost: x\r\nX-",
  };
  for (const [what, sent] of Object.entries(kinds)) {
    await t.step(what, async () => {
      await using server = await serve();
      await using slow = new SlowClients();
      await slow.connect(server.port, 200, sent);
      match(await ask(server.port, get("/livez")), /^HTTP\/1\.1 200 /);
      await eventually("the server to close all slow connections", () => slow.open === 0, {
        seen: () => slow.open,
      });
      match(await ask(server.port, get("/livez")), /^HTTP\/1\.1 200 /);
    });
  }
});

const NO_REQUEST_TIMEOUT = { ...HEALTH_LIMITS, requestTimeoutMs: 3_600_000 };

async function assertConnectionLimit(server: HttpServer, slow: SlowClients): Promise<void> {
  await eventually("the server to keep 64 connections", () => slow.open <= 64, {
    seen: () => slow.open,
  });
  match(await ask(server.port, get("/livez")), /^HTTP\/1\.1 200 /);
  ok(slow.open >= 60, `the server kept only ${slow.open} connections`);
}

Deno.test("the health port keeps 64 slow connections and closes the oldest for each new one", async () => {
  await using server = await serve([], new Secrets(), NO_REQUEST_TIMEOUT);
  await using slow = new SlowClients();
  await slow.connect(server.port, 200, "GET /live");
  await assertConnectionLimit(server, slow);
  deepStrictEqual(
    slow.openNumbers.filter((number) => number < 200 - 64),
    [],
    "the newest connections stay open",
  );
});

Deno.test("the health port keeps at most 64 slow connections when many clients connect at once", async () => {
  await using server = await serve([], new Secrets(), NO_REQUEST_TIMEOUT);
  await using slow = new SlowClients();
  await slow.connectAtOnce(server.port, 200, "GET /live");
  await assertConnectionLimit(server, slow);
});

Deno.test("a reason in the answer of /readyz shows no secret in any encoding", async () => {
  const secrets = new Secrets();
  secrets.hide(["c4nary pass/word"]);
  const reasons = ["c4nary pass/word", "c4nary%20pass%2Fword", btoa("c4nary pass/word")];
  await using server = await serve(reasons, secrets);
  const answer = await ask(server.port, get("/readyz"));
  deepStrictEqual(
    JSON.parse(answer.slice(answer.indexOf("{"))).reasons.map((one: string) => one.replace(/=+$/, "")),
    [
      "***",
      "***",
      "***",
    ],
  );
});

Deno.test("the health port closes while slow clients are connected", async () => {
  const server = await serve();
  await using slow = new SlowClients();
  await slow.connect(server.port, 20, "GET /");
  await server[Symbol.asyncDispose]();
  const refused = await ask(server.port, get("/livez")).then(() => false, () => true);
  strictEqual(refused, true);
});
