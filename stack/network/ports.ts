/** TCP ports of this machine. */
import { PipelineError } from "../../workers/_shared/errors.ts";

export const HOST = "127.0.0.1";

/**
 * Below the range from which Linux, macOS and Windows take ports for outgoing connections: a client that keeps trying
 * a stopped server inside that range can connect to itself and so take the server's port away.
 */
const FREE_PORTS = { from: 20_000, to: 32_000 };

/** Whether something listens there, or the port cannot be had for another reason. */
export async function isPortTaken(port: number): Promise<boolean> {
  try {
    (await Deno.connect({ hostname: HOST, port })).close();
    return true;
  } catch {
    // Nobody answers. That nobody holds it either is what listening shows.
  }
  try {
    Deno.listen({ hostname: HOST, port }).close();
    return false;
  } catch {
    return true;
  }
}

/** The server that got one of them wants it again after a stop, while nobody listens there. */
const given = new Set<number>();

/** @returns a port that nobody holds, another one at each call */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = FREE_PORTS.from + Math.floor(Math.random() * (FREE_PORTS.to - FREE_PORTS.from));
    if (given.has(port) || await isPortTaken(port)) continue;
    given.add(port);
    return port;
  }
}

/** How a port is called where it is set, for messages. */
export interface PortSetting {
  readonly what: string;
  readonly variable: string;
  /** The variable that names a server which runs already. */
  readonly instead: string;
}

/**
 * @param wanted the port to use, 0 for any free one
 * @throws PipelineError when it is taken, with what to do
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
