/** The HTTP port of a worker: `/livez`, `/readyz` and `/metrics`, answered for GET and HEAD, whatever else comes in. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import type { Registry } from "prom-client";
import { integer, text } from "./env.ts";
import { describeError, findInCauses, UsageError } from "./errors.ts";
import type { Secrets } from "./secrets.ts";

export const HEALTH_SETTINGS = {
  HEALTH_HOST: text({
    expected: "an IP address or host name to listen on",
    pattern: /^\S+$/,
    default: "127.0.0.1",
  }),
  HEALTH_PORT: integer({ min: 0, max: 65535, unit: "TCP port, 0 = any free one", default: 0 }),
};

/** Empty reasons mean yes. */
export interface Probes {
  /** Why the process should be restarted. */
  readonly live: () => readonly string[];
  /** Why the process cannot do its work at the moment. */
  readonly ready: () => readonly string[];
}

export interface HealthOptions {
  readonly HEALTH_HOST: string;
  readonly HEALTH_PORT: number;
}

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

/**
 * Serves the probes: 200 or 503 with `{"status", "reasons"}`, and the metrics in Prometheus' text format. By `node:http`,
 * because `Deno.serve` waits for ever for a request that does not end.
 *
 * @param secrets hidden in the reasons
 * @throws UsageError when the port cannot be had
 */
export async function serveHealth(
  options: HealthOptions,
  probes: Probes,
  metrics: Registry,
  secrets: Secrets,
  limits: typeof HEALTH_LIMITS = HEALTH_LIMITS,
): Promise<HealthServer> {
  const probe = (reasons: readonly string[]): Answer => {
    const status = reasons.length === 0 ? "ok" : "failing";
    const body = JSON.stringify({ status, reasons: reasons.map((reason) => secrets.redact(reason)) });
    return { status: reasons.length === 0 ? 200 : 503, type: "application/json", body };
  };
  const answer = async ({ method, url = "/" }: IncomingMessage): Promise<Answer> => {
    if (method !== "GET" && method !== "HEAD") return told(405, "only GET is answered here");
    switch (url.replace(/\?.*$/, "")) {
      case "/livez":
        return probe(probes.live());
      case "/readyz":
        return probe(probes.ready());
      case "/metrics":
        return { status: 200, type: metrics.contentType, body: await metrics.metrics() };
      default:
        return told(404, "not found, expected /livez, /readyz or /metrics");
    }
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

interface Answer {
  readonly status: number;
  readonly type: string;
  readonly body: string;
}

function told(status: number, sentence: string): Answer {
  return { status, type: "text/plain; charset=utf-8", body: `${sentence}\n` };
}

function send(response: ServerResponse, { status, type, body }: Answer): void {
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
      const problem = findInCauses(error, "code") === "EADDRINUSE"
        ? "is taken by another program"
        : describeError(error);
      reject(
        new UsageError(
          `Cannot listen on ${HEALTH_HOST} port ${HEALTH_PORT}: ${problem}; set HEALTH_PORT, or 0 for any free port`,
        ),
      );
    });
    server.listen(HEALTH_PORT, HEALTH_HOST, resolve);
  });
}
