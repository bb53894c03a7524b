/**
 * A link is a TCP proxy between clients and a server. Tests and `chaos` change its faults while connections are open.
 *
 * @example
 * await using link = await openLink({ host: "127.0.0.1", port: 5432 });
 * link.impair({ latencyMs: 200, jitterMs: 50 });
 * link.cut();
 * link.heal();
 */
import { connect, createServer, type Server, type Socket } from "node:net";
import { type Impairment, Lane, type Watch, type Wire } from "./lane.ts";
import { HOST } from "./ports.ts";

export type { Impairment, Watch };

export type Direction = "requests" | "answers" | "both";

export interface LinkTarget {
  readonly host: string;
  readonly port: number;
}

/**
 * Opens a link on a free port of 127.0.0.1.
 *
 * @param target the server; while it is undefined or does not listen, the link resets each connection
 * @param random returns a number in [0, 1), for the jitter
 */
export async function openLink(target?: LinkTarget, random: () => number = Math.random): Promise<Link> {
  // allowHalfOpen: when one side ends, the link delivers what it still holds and then closes the connection itself.
  const server = createServer({ allowHalfOpen: true, noDelay: true });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, HOST, resolve);
  });
  const address = server.address();
  if (address === null || typeof address === "string") throw new TypeError("A link listens on a TCP port");
  return new Link(server, address.port, target, random);
}

export class Link implements AsyncDisposable {
  readonly port: number;
  target: LinkTarget | undefined;
  readonly #server: Server;
  readonly #requests: Lane;
  readonly #answers: Lane;
  readonly #wires = new Set<TwoSockets>();
  readonly #passing = new Set<Promise<unknown>>();
  #refusing = false;

  constructor(server: Server, port: number, target: LinkTarget | undefined, random: () => number) {
    this.port = port;
    this.target = target;
    this.#server = server;
    this.#requests = new Lane(random);
    this.#answers = new Lane(random);
    server.on("connection", (client: Socket) => this.#accept(client));
  }

  through(url: string): string {
    const detour = new URL(url);
    detour.hostname = HOST;
    detour.port = String(this.port);
    return detour.href;
  }

  set onRequest(watch: Watch) {
    this.#requests.watch = watch;
  }

  set onAnswer(watch: Watch) {
    this.#answers.watch = watch;
  }

  get cuts(): number {
    return this.#requests.cuts + this.#answers.cuts;
  }

  /** Makes both directions half-open (see `Impairment.silent`), or healthy. */
  set silent(silent: boolean) {
    this.impair(silent ? { silent } : {});
  }

  /** Replaces the current impairment, also for open connections. */
  impair(impairment: Impairment, direction: Direction = "both"): void {
    if (direction !== "answers") this.#requests.impairment = impairment;
    if (direction !== "requests") this.#answers.impairment = impairment;
  }

  /** Resets all connections, and resets each new one until `heal`. */
  cut(): void {
    this.#refusing = true;
    this.reset();
  }

  /** Resets all connections, and accepts new connections. */
  reset(): void {
    for (const wire of [...this.#wires]) wire.reset();
  }

  heal(): void {
    this.#refusing = false;
    this.impair({});
  }

  /**
   * Resets connections of which one side has closed while the link was silent. Otherwise the other side would notice
   * this only by its TCP keepalive.
   *
   * @returns the number of these connections
   */
  endAbandoned(): number {
    const abandoned = [...this.#wires].filter((wire) => wire.isAbandoned);
    for (const wire of abandoned) wire.reset();
    return abandoned.length;
  }

  #accept(client: Socket): void {
    client.on("error", () => {});
    if (this.#refusing || this.target === undefined) return void client.resetAndDestroy();
    const { host, port } = this.target;
    const server = connect({ host, port, allowHalfOpen: true, noDelay: true });
    server.on("error", () => {});
    const wire = new TwoSockets(client, server, () => {
      this.#wires.delete(wire);
      this.#requests.wake();
      this.#answers.wake();
    });
    this.#wires.add(wire);
    const refused = () => wire.reset();
    server.once("close", refused);
    server.once("connect", () => {
      server.off("close", refused);
      const passing = Promise.all([
        this.#requests.pass(client, server, wire),
        this.#answers.pass(server, client, wire),
      ]);
      this.#passing.add(passing);
      passing.finally(() => this.#passing.delete(passing));
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#refusing = true;
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.reset();
    await Promise.all([...this.#passing]);
    await closed;
  }
}

class TwoSockets implements Wire {
  readonly #sockets: Set<Socket>;
  readonly #onClosed: () => void;
  #closed = false;

  constructor(client: Socket, server: Socket, onClosed: () => void) {
    this.#sockets = new Set([client, server]);
    this.#onClosed = onClosed;
  }

  get closed(): boolean {
    return this.#closed;
  }

  get isAbandoned(): boolean {
    return !this.#closed && this.#sockets.size === 1;
  }

  reset(): void {
    this.#close((socket) => socket.resetAndDestroy());
  }

  end(): void {
    // destroySoon() lets the socket first send what was written to it.
    this.#close((socket) => socket.destroySoon());
  }

  abandon(from: Socket): void {
    if (this.#closed) return;
    from.destroy();
    this.#sockets.delete(from);
    if (this.#sockets.size === 0) this.#close(() => {});
  }

  #close(close: (socket: Socket) => void): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const socket of this.#sockets) close(socket);
    this.#sockets.clear();
    this.#onClosed();
  }
}
