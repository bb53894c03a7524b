import { PipelineError } from "../../workers/_shared/errors.ts";

export const HOST = "127.0.0.1";

/**
 * These ports are below the ephemeral ports of Linux, macOS and Windows. A client that keeps connecting to a stopped
 * server can get an ephemeral port as its own source port. If that is the server's port, the client connects to itself
 * and blocks the port.
 */
const FREE_PORTS = { from: 20_000, to: 32_000 };

/** Returns true also if this process has no right to listen on the port. */
export async function isPortTaken(port: number): Promise<boolean> {
  try {
    (await Deno.connect({ hostname: HOST, port })).close();
    return true;
  } catch {
    // No server answers. The port is free if this process can listen on it.
  }
  try {
    Deno.listen({ hostname: HOST, port }).close();
    return false;
  } catch {
    return true;
  }
}

/** A stopped server starts again on its port, so the port is never given to another server. */
const handedOut = new Set<number>();

export async function freePort(): Promise<number> {
  for (;;) {
    const port = FREE_PORTS.from + Math.floor(Math.random() * (FREE_PORTS.to - FREE_PORTS.from));
    if (handedOut.has(port) || await isPortTaken(port)) continue;
    handedOut.add(port);
    return port;
  }
}

/** Names of a port setting that messages use. */
export interface PortSetting {
  readonly what: string;
  readonly variable: string;
  /** The variable that holds the address of a server that already runs. */
  readonly instead: string;
}

/**
 * @param wanted the port, or 0 for any free one
 * @throws PipelineError if the port is taken
 */
export async function claimPort(wanted: number, { what, variable, instead }: PortSetting): Promise<number> {
  if (wanted === 0) return await freePort();
  if (!await isPortTaken(wanted)) return wanted;
  throw new PipelineError(
    "stack_failed",
    `Cannot start ${what}: port ${wanted} of ${HOST} is taken, expected a free one; ` +
      `set ${variable} to another port (0 = any free one), stop what listens there, or set ${instead} to use it`,
  );
}
