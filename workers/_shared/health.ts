/**
 * The HTTP port of a worker: `/livez`, `/readyz` and `/metrics`, answered for GET and HEAD, whatever else comes in; and
 * `<program> health-check`, which asks it where there is no curl, as in a container.
 */
import { createServer, get, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { Argument, Command } from "commander";
import type { Registry } from "prom-client";
import { type Environment, integer, parseSettings, type Settings, text } from "./env.ts";
import { describeError, findInCauses, UsageError } from "./errors.ts";
import { EXIT } from "./lifecycle.ts";
import { writeOut } from "./output.ts";
import type { Secrets } from "./secrets.ts";

const HOST = { expected: "an IP address or host name to listen on", pattern: /^\S+$/, default: "127.0.0.1" };
export const HEALTH_SETTINGS = {
  HEALTH_HOST: text(HOST),
  HEALTH_PORT: integer({ min: 0, max: 65535, unit: "TCP port, 0 = any free one", default: 0 }),
};

type HealthOptions = Settings<typeof HEALTH_SETTINGS>;

export interface HealthServer extends AsyncDisposable {
  readonly port: number;
}

/** What one asker may take of us. */
export const HEALTH_LIMITS = {
  /** Our askers send a few hundred bytes. */
  requestBytes: 8 * 1024,
  /** From the first byte, or from the connection without one; who is slower is told so and sent away. */
  requestTimeoutMs: 5_000,
  /** Each is a file descriptor and some memory. Beyond it the oldest has to go: a new one may be the supervisor's. */
  connections: 64,
};
const CHECK_SLOW_EVERY_MS = 1_000;

interface Shown {
  /** Why the process should be restarted, and why it cannot do its work at the moment; no reasons mean that it is well. */
  readonly probes: Readonly<Record<"live" | "ready", () => readonly string[]>>;
  readonly metrics: Registry;
  /** Hidden in the reasons. */
  readonly secrets: Secrets;
}

/**
 * Serves the probes: 200 or 503 with `{"status", "reasons"}`, and the metrics in Prometheus' text format. By `node:http`,
 * because `Deno.serve` waits for ever for a request that does not end.
 *
 * @throws UsageError when the port cannot be had
 */
export async function serveHealth(
  options: HealthOptions,
  { probes, metrics, secrets }: Shown,
  limits: typeof HEALTH_LIMITS = HEALTH_LIMITS,
): Promise<HealthServer> {
  const probe = (found: readonly string[]): Answer => {
    const reasons = found.map((reason) => secrets.redact(reason));
    const [code, status] = reasons.length === 0 ? [200, "ok"] as const : [503, "failing"] as const;
    return [code, "application/json", JSON.stringify({ status, reasons })];
  };
  const answer = async ({ method, url = "/" }: IncomingMessage): Promise<Answer> => {
    if (method !== "GET" && method !== "HEAD") return [405, TEXT, "only GET is answered here\n"];
    const path = url.replace(/\?.*$/, "");
    if (path === "/livez") return probe(probes.live());
    if (path === "/readyz") return probe(probes.ready());
    if (path === "/metrics") return [200, metrics.contentType, await metrics.metrics()];
    return [404, TEXT, "not found, expected /livez, /readyz or /metrics\n"];
  };
  const server = createServer({
    maxHeaderSize: limits.requestBytes,
    headersTimeout: limits.requestTimeoutMs,
    requestTimeout: limits.requestTimeoutMs,
    connectionsCheckingInterval: CHECK_SLOW_EVERY_MS,
  }, (request, response) => void answer(request).then((one) => send(response, one)));
  limitConnections(server, limits.connections);
  await listen(server, options);
  return {
    port: (server.address() as AddressInfo).port,
    [Symbol.asyncDispose]: () => {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      // Whoever has not asked by now gets no answer.
      server.closeAllConnections();
      return closed;
    },
  };
}

type Answer = readonly [status: number, type: string, body: string];
const TEXT = "text/plain; charset=utf-8";

function send(response: ServerResponse, [status, type, body]: Answer): void {
  response.writeHead(status, {
    "content-type": type,
    "content-length": String(new TextEncoder().encode(body).length),
    ...(status === 405 ? { allow: "GET, HEAD" } : {}),
    // A body that comes with the question is not read, and nobody asks often enough to miss the connection.
    connection: "close",
  });
  response.end(response.req.method === "HEAD" ? undefined : body);
}

function limitConnections(server: Server, atMost: number): void {
  const open = new Set<Socket>();
  server.on("connection", (socket) => {
    open.add(socket);
    socket.once("close", () => open.delete(socket));
    // One that breaks off is no error of ours.
    socket.on("error", () => {});
    const [oldest] = open;
    if (open.size <= atMost || oldest === undefined) return;
    // Now and not when it says so: the next may come before that, and must not find the same one again.
    open.delete(oldest);
    oldest.destroy();
  });
}

function listen(server: Server, { HEALTH_HOST, HEALTH_PORT }: HealthOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", (error) => {
      const taken = findInCauses(error, "code") === "EADDRINUSE";
      const problem = taken ? "is taken by another program" : describeError(error);
      const next = "set HEALTH_PORT, or 0 for any free port";
      reject(new UsageError(`Cannot listen on ${HEALTH_HOST} port ${HEALTH_PORT}: ${problem}; ${next}`));
    });
    server.listen(HEALTH_PORT, HEALTH_HOST, resolve);
  });
}

/** Longer than a busy worker takes, shorter than the checks of a container are apart. */
const ANSWER_WITHIN_MS = 4_000;

/** Whether a program was called for its health check. */
export function isHealthCheck(args: readonly string[]): boolean {
  return args[0] === "health-check";
}

/**
 * Asks the worker beside us, in the same network namespace, and prints what it answered.
 *
 * @returns 0 when it is well; 1 when it is not, or does not answer
 * @throws UsageError when HEALTH_PORT does not say where it listens
 * @throws CommanderError after --help, or for an argument that does not exist
 */
export async function healthCheck(args: readonly string[], env: Environment): Promise<number> {
  const probe = new Argument("[probe]", "readyz: does it do its work; livez: should it be restarted")
    .choices(["readyz", "livez"]).default("readyz");
  const command = new Command("health-check").exitOverride().addArgument(probe)
    .description(
      "Asks the worker that runs beside it with the same HEALTH_PORT; exit code 0 when it is well.",
    )
    .addHelpText("after", "\nExample: HEALTH_PORT=9464 deno task consume health-check readyz")
    .parse(args.slice(1), { from: "user" });
  const { HEALTH_HOST, HEALTH_PORT } = parseSettings("health check", {
    ...HEALTH_SETTINGS,
    HEALTH_PORT: integer({ min: 1, max: 65535, unit: "TCP port on which the worker answers" }),
  }, env);
  // Who listens on every address answers on loopback, too.
  const named = ["0.0.0.0", "::"].includes(HEALTH_HOST) ? "127.0.0.1" : HEALTH_HOST;
  const host = named.includes(":") ? `[${named}]` : named;
  const url = `http://${host}:${HEALTH_PORT}/${command.processedArgs[0]}`;
  const { status, text } = await askLoopback(url, ANSWER_WITHIN_MS)
    .catch((error: Error) => ({ status: 0, text: error.message }));
  writeOut(`${url}: ${status || "no answer"} ${text.trim()}\n`);
  return status === 200 ? EXIT.ok : EXIT.failed;
}

/** Asks a program on this machine by HTTP. Not by fetch(): with HTTP_PROXY set, that asks the proxy, which has another loopback. */
export function askLoopback(url: string, withinMs: number): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const request = get(url, { signal: AbortSignal.timeout(withinMs), agent: false }, (response) => {
      let text = "";
      response.setEncoding("utf8");
      response.on("data", (part: string) => text += part);
      response.on("end", () => resolve({ status: response.statusCode ?? 0, text }));
      response.on("error", reject);
    });
    request.on("error", reject);
  });
}
