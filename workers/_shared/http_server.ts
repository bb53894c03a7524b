/** Limits of the HTTP servers in the workers, which stop clients that are slow or open too many connections. */
import type { Server, ServerOptions } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { describeError, findInCauses, UsageError } from "./errors.ts";

export interface HttpServer extends AsyncDisposable {
  readonly port: number;
}

export interface HttpLimits {
  /** The request line and the headers together. */
  readonly requestBytes: number;
  readonly requestTimeoutMs: number;
  readonly connections: number;
}

const CHECK_SLOW_EVERY_MS = 1_000;

export function requestLimits(limits: HttpLimits): ServerOptions {
  return {
    maxHeaderSize: limits.requestBytes,
    headersTimeout: limits.requestTimeoutMs,
    requestTimeout: limits.requestTimeoutMs,
    connectionsCheckingInterval: CHECK_SLOW_EVERY_MS,
  };
}

interface Listening {
  readonly host: string;
  readonly port: number;
  /** If the port is taken, listen on any free one. */
  readonly orAnyPort?: boolean;
  /** The name of the port's setting in the error. */
  readonly setting: string;
  readonly limits: HttpLimits;
  /** Whether a connection may be closed for a new one; by default every connection. */
  readonly mayDrop?: (socket: Socket) => boolean;
}

/** @throws UsageError if the server cannot listen */
export async function startServer(server: Server, options: Listening): Promise<HttpServer> {
  const open = limitConnections(server, options);
  await listen(server, options);
  return {
    port: (server.address() as AddressInfo).port,
    [Symbol.asyncDispose]: () => {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      // close() waits for clients that have not sent a request, and closeAllConnections() misses clients in a TLS handshake.
      for (const socket of open) socket.destroy();
      return closed;
    },
  };
}

function limitConnections(server: Server, { limits, mayDrop = () => true }: Listening): ReadonlySet<Socket> {
  const open = new Set<Socket>();
  server.on("connection", (socket) => {
    open.add(socket);
    socket.once("close", () => open.delete(socket));
    // Without a listener, a client that disconnects would end the process.
    socket.on("error", () => {});
    if (open.size <= limits.connections) return;
    const oldest = open.values().find(mayDrop) ?? socket;
    // The event "close" comes later. Until then, the next connection must not select the same socket again.
    open.delete(oldest);
    oldest.destroy();
  });
  return open;
}

function listen(server: Server, { host, port, orAnyPort = false, setting }: Listening): Promise<void> {
  return new Promise((resolve, reject) => {
    let mayMove = orAnyPort;
    // This listener stays after the start: without it, a connection that cannot be accepted would end the process.
    server.on("error", (error) => {
      const taken = findInCauses(error, "code") === "EADDRINUSE";
      if (taken && mayMove) {
        mayMove = false;
        return void server.listen(0, host);
      }
      const problem = taken ? "is taken by another program" : describeError(error);
      const next = `set ${setting}, or 0 for any free port`;
      reject(new UsageError(`Cannot listen on ${host} port ${port}: ${problem}; ${next}`));
    });
    server.once("listening", resolve);
    server.listen(port, host);
  });
}
