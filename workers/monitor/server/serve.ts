import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { Socket } from "node:net";
import { getRequestListener, type HttpBindings } from "@hono/node-server";
import { type HttpLimits, type HttpServer, requestLimits, startServer } from "../../_shared/http_server.ts";
import type { TlsOptions } from "../../_shared/tls_files.ts";
import { SECURITY_HEADERS } from "./headers.ts";

type Fetch = (request: Request, env: HttpBindings) => Response | Promise<Response>;

export interface ServerLimits extends HttpLimits {
  readonly bodyBytes: number;
}

export const SERVER_LIMITS: ServerLimits = {
  /** Browsers also send the cookies of the other programs on this host. */
  requestBytes: 16 * 1024,
  requestTimeoutMs: 10_000,
  /** 200 viewers, each with a live stream and up to four other connections. */
  connections: 1_000,
  /** The only body is the login form's. */
  bodyBytes: 4 * 1024,
};

export interface ServerOptions {
  readonly host: string;
  readonly port: number;
  /** If false, and the port is taken, any free port is used. */
  readonly portIsFixed: boolean;
  /** Without certificate and key: HTTP. */
  readonly tls: TlsOptions;
  /** Is called if the body of a response fails. The connection is then closed. */
  readonly onFailedBody: (error: unknown) => void;
  readonly limits?: ServerLimits;
}

/**
 * Uses `node:http`, because `Deno.serve` has no timeout for a request that does not end.
 *
 * @throws UsageError if the server cannot listen
 */
export async function serve(
  fetch: Fetch,
  { host, port, portIsFixed, tls, onFailedBody, limits = SERVER_LIMITS }: ServerOptions,
): Promise<HttpServer> {
  const responses = new Map<string, ServerResponse>();
  const handle = getRequestListener(async (request, env) => {
    const { outgoing } = env as HttpBindings;
    const response = await fetch(request, env as HttpBindings);
    return response.body === null
      ? response
      : new Response(guarded(response.body, outgoing, onFailedBody), response);
  }, { overrideGlobalObjects: false });
  const listener: RequestListener = (request, response) => {
    const connection = nameOf(request.socket);
    responses.set(connection, response);
    response.once("close", () => responses.get(connection) === response && responses.delete(connection));
    for (const [name, value] of Object.entries(SECURITY_HEADERS)) response.setHeader(name, value);
    const refusal = refusalOf(request, limits);
    if (refusal === undefined) return void handle(request, response);
    const [status, text] = refusal;
    if (status === 405) response.setHeader("allow", "GET, HEAD, POST");
    // The body is not read, so the connection cannot serve another request.
    response.writeHead(status, { "content-type": "text/plain; charset=utf-8", connection: "close" }).end(
      text,
    );
  };
  const options = { ...requestLimits(limits), ...tls, handshakeTimeout: limits.requestTimeoutMs };
  const server = tls.cert === undefined
    ? createServer(options, listener)
    : createTlsServer(options, listener);
  return await startServer(server, {
    host,
    port,
    orAnyPort: !portIsFixed,
    setting: "MONITOR_PORT",
    limits,
    // New connections must not close an event stream, which may stay open for days.
    mayDrop: (socket) => responses.get(nameOf(socket))?.headersSent !== true,
  });
}

/** The socket of a TLS request is not the one that the server accepted, but it has the same peer. */
function nameOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress} ${remotePort}`;
}

type Refusal = readonly [status: number, text: string];

function refusalOf(
  { method = "", headers }: IncomingMessage,
  { bodyBytes }: ServerLimits,
): Refusal | undefined {
  if (!["GET", "HEAD", "POST"].includes(method)) return [405, "only GET, HEAD and POST are supported\n"];
  if (headers["transfer-encoding"] !== undefined) return [411, "expected a body with Content-Length\n"];
  const length = Number(headers["content-length"] ?? 0);
  return length > bodyBytes ? [413, `expected a body of at most ${bodyBytes} bytes\n`] : undefined;
}

/**
 * Closes the connection if the body of a response fails, so that the browser detects an incomplete response. Otherwise
 * `@hono/node-server` would print the error, which may contain a customer's id, to the console instead of the log.
 */
function guarded(
  body: ReadableStream<Uint8Array>,
  outgoing: HttpBindings["outgoing"],
  onFailed: (error: unknown) => void,
): ReadableStream<Uint8Array> {
  const reader = body.getReader();
  // A failure is noticed even if the browser reads nothing, so that pull() is not called.
  reader.closed.catch((error) => {
    onFailed(error);
    outgoing.destroy();
  });
  return new ReadableStream({
    pull: async (controller) => {
      const { done, value } = await reader.read().catch(() => new Promise<never>(() => {}));
      if (done) controller.close();
      else controller.enqueue(value);
    },
    cancel: (reason) => reader.cancel(reason),
  }, { highWaterMark: 0 });
}
