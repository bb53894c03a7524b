/** The HTTP port of a worker: `/livez`, `/readyz` and `/metrics`, answered for GET only. */
import type { Registry } from "prom-client";
import { integer, text } from "./env.ts";

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

export interface HealthServer extends AsyncDisposable {
  readonly port: number;
}

/**
 * Serves the probes: 200 or 503 with `{"status", "reasons"}`, and the metrics in Prometheus' text format.
 *
 * @throws Deno.errors.AddrInUse when the port is taken
 */
export function serveHealth(
  options: { HEALTH_HOST: string; HEALTH_PORT: number },
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
  const server = Deno.serve(
    { hostname: options.HEALTH_HOST, port: options.HEALTH_PORT, onListen: () => {} },
    answer,
  );
  return { port: server.addr.port, [Symbol.asyncDispose]: () => server.shutdown() };
}

function probe(reasons: readonly string[]): Response {
  const status = reasons.length === 0 ? "ok" : "failing";
  return Response.json({ status, reasons }, { status: reasons.length === 0 ? 200 : 503 });
}
