/** The HTTP port of a worker, and the command `health-check`, which asks it in containers that have no curl. */
import { createServer, get, type IncomingMessage, type ServerResponse } from "node:http";
import { Argument, Command } from "commander";
import type { Registry } from "prom-client";
import { type Environment, integer, parseSettings, type Settings, text } from "./env.ts";
import { type HttpServer, requestLimits, startServer } from "./http_server.ts";
import { EXIT } from "./lifecycle.ts";
import { writeOut } from "./output.ts";
import type { Secrets } from "./secrets.ts";

const HOST = { expected: "an IP address or host name to listen on", pattern: /^\S+$/, default: "127.0.0.1" };
export const HEALTH_SETTINGS = {
  HEALTH_HOST: text(HOST),
  HEALTH_PORT: integer({ min: 0, max: 65535, unit: "TCP port, 0 = any free one", default: 0 }),
};

type HealthOptions = Settings<typeof HEALTH_SETTINGS>;

export const HEALTH_LIMITS = {
  /** Probes and Prometheus send a few hundred bytes. */
  requestBytes: 8 * 1024,
  requestTimeoutMs: 5_000,
  /** When there are more, the oldest one is closed, because the newest one may be the supervisor's. */
  connections: 64,
};

interface HealthSources {
  /** `live`: reasons to restart the process; `ready`: reasons why it cannot work now. Empty means healthy. */
  readonly probes: Readonly<Record<"live" | "ready", () => readonly string[] | Promise<readonly string[]>>>;
  readonly metrics: Registry;
  readonly secrets: Secrets;
}

/**
 * Uses `node:http`, because `Deno.serve` has no timeout for a request that does not end.
 *
 * @throws UsageError if the server cannot listen
 */
export async function serveHealth(
  options: HealthOptions,
  { probes, metrics, secrets }: HealthSources,
  limits: typeof HEALTH_LIMITS = HEALTH_LIMITS,
): Promise<HttpServer> {
  const probe = (found: readonly string[]): Answer => {
    const reasons = found.map((reason) => secrets.redact(reason));
    const [code, status] = reasons.length === 0 ? [200, "ok"] as const : [503, "failing"] as const;
    return [code, "application/json", JSON.stringify({ status, reasons })];
  };
  const answer = async ({ method, url = "/" }: IncomingMessage): Promise<Answer> => {
    if (method !== "GET" && method !== "HEAD") return [405, TEXT, "only GET and HEAD are supported\n"];
    const path = url.replace(/\?.*$/, "");
    if (path === "/livez") return probe(await probes.live());
    if (path === "/readyz") return probe(await probes.ready());
    if (path === "/metrics") return [200, metrics.contentType, await metrics.metrics()];
    return [404, TEXT, "not found, expected /livez, /readyz or /metrics\n"];
  };
  const server = createServer(
    requestLimits(limits),
    (request, response) => void answer(request).then((result) => send(response, result)),
  );
  const { HEALTH_HOST: host, HEALTH_PORT: port } = options;
  return await startServer(server, { host, port, setting: "HEALTH_PORT", limits });
}

type Answer = readonly [status: number, type: string, body: string];
const TEXT = "text/plain; charset=utf-8";

function send(response: ServerResponse, [status, type, body]: Answer): void {
  response.writeHead(status, {
    "content-type": type,
    "content-length": String(new TextEncoder().encode(body).length),
    ...(status === 405 ? { allow: "GET, HEAD" } : {}),
    // The body of a request is not read, so the connection cannot serve another one.
    connection: "close",
  });
  response.end(response.req.method === "HEAD" ? undefined : body);
}

/** Shorter than the timeout of the container's check (10 s in docker-compose.yml), so that `health-check` prints its result. */
const ANSWER_WITHIN_MS = 4_000;

export function isHealthCheck(args: readonly string[]): boolean {
  return args[0] === "health-check";
}

/**
 * @returns the exit code: 0 if the worker is healthy, 1 if it is not or does not respond
 * @throws UsageError if HEALTH_PORT is missing
 * @throws CommanderError after --help, or for an unknown argument
 */
export async function healthCheck(args: readonly string[], env: Environment): Promise<number> {
  const probe = new Argument(
    "[probe]",
    "readyz: whether the worker can work; livez: whether it makes progress",
  )
    .choices(["readyz", "livez"]).default("readyz");
  const command = new Command("health-check").exitOverride().addArgument(probe)
    .description(
      "Asks the worker on this machine that has the same HEALTH_PORT. Exit code 0 means that it is healthy.",
    )
    .addHelpText("after", "\nExample: HEALTH_PORT=9464 deno task consume health-check readyz")
    .parse(args.slice(1), { from: "user" });
  const { HEALTH_HOST, HEALTH_PORT } = parseSettings("health check", {
    ...HEALTH_SETTINGS,
    HEALTH_PORT: integer({ min: 1, max: 65535, unit: "TCP port on which the worker answers" }),
  }, env);
  // A worker that listens on all addresses also listens on loopback.
  const named = ["0.0.0.0", "::"].includes(HEALTH_HOST) ? "127.0.0.1" : HEALTH_HOST;
  const host = named.includes(":") ? `[${named}]` : named;
  const url = `http://${host}:${HEALTH_PORT}/${command.processedArgs[0]}`;
  const { status, text } = await askLoopback(url, ANSWER_WITHIN_MS)
    .catch((error: Error) => ({ status: 0, text: error.message }));
  writeOut(`${url}: ${status || "no answer"} ${text.trim()}\n`);
  return status === 200 ? EXIT.ok : EXIT.failed;
}

/** Sends an HTTP request to this machine. It does not use fetch(), which would send the request to HTTP_PROXY if that is set. */
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
