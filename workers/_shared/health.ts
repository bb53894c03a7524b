/** The HTTP port of a worker: `/livez`, `/readyz` and `/metrics`, answered for GET only. */
import type { Registry } from "prom-client";
import { integer, text } from "./env.ts";
import { describeError, UsageError } from "./errors.ts";

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

/**
 * Serves the probes: 200 or 503 with `{"status", "reasons"}`, and the metrics in Prometheus' text format.
 *
 * @throws UsageError when the port cannot be had
 */
export function serveHealth(
  options: HealthOptions,
  probes: Probes,
  metrics: Registry,
): HealthServer {
  const answer = async (request: Request): Promise<Response> => {
    if (request.method !== "GET" && request.method !== "HEAD") {
      return new Response("only GET is answered here\n", { status: 405, headers: { allow: "GET, HEAD" } });
    }
    switch (new URL(request.url).pathname) {
      case "/livez":
        return probe(probes.live());
      case "/readyz":
        return probe(probes.ready());
      case "/metrics":
        return new Response(await metrics.metrics(), { headers: { "content-type": metrics.contentType } });
      default:
        return new Response("not found, expected /livez, /readyz or /metrics\n", { status: 404 });
    }
  };
  const server = listen(options, answer);
  return { port: server.addr.port, [Symbol.asyncDispose]: () => server.shutdown() };
}

function listen({ HEALTH_HOST, HEALTH_PORT }: HealthOptions, answer: Deno.ServeHandler) {
  try {
    return Deno.serve({ hostname: HEALTH_HOST, port: HEALTH_PORT, onListen: () => {} }, answer);
  } catch (error) {
    const problem = error instanceof Deno.errors.AddrInUse
      ? "is taken by another program"
      : describeError(error);
    throw new UsageError(
      `Cannot listen on ${HEALTH_HOST} port ${HEALTH_PORT}: ${problem}; set HEALTH_PORT, or 0 for any free port`,
    );
  }
}

function probe(reasons: readonly string[]): Response {
  const status = reasons.length === 0 ? "ok" : "failing";
  return Response.json({ status, reasons }, { status: reasons.length === 0 ? 200 : 503 });
}
