/** A wire between a client and a server that a test can hold, cut, or cut at one exact moment. */

export interface TcpProxyOptions {
  readonly host: string;
  readonly port: number;
}

/** What passes in one direction in one piece. Return false to cut the connection instead of passing it on. */
export type Watch = (bytes: Uint8Array) => boolean;

export class TcpProxy implements AsyncDisposable {
  /** Swallow everything, the end of a connection too: neither side hears of the other. */
  silent = false;
  /** Sees what clients send. */
  onRequest: Watch = () => true;
  /** Sees what the server answers. */
  onAnswer: Watch = () => true;
  /** How many connections were cut by one of the two. */
  cuts = 0;
  readonly #listener: Deno.TcpListener;
  readonly #open = new Set<Deno.TcpConn>();
  readonly #accepting: Promise<void>;
  /** Where new connections go to; undefined while that is not known yet: they are refused. */
  target: TcpProxyOptions | undefined;

  constructor(target?: TcpProxyOptions) {
    this.target = target;
    this.#listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    this.#accepting = this.#accept();
  }

  get port(): number {
    return this.#listener.addr.port;
  }

  /** The same URL, through this proxy. */
  through(url: string): string {
    const detour = new URL(url);
    detour.hostname = "127.0.0.1";
    detour.port = String(this.port);
    return detour.href;
  }

  async #accept(): Promise<void> {
    const wires: Promise<void>[] = [];
    for await (const client of this.#listener) {
      if (this.target === undefined) {
        close(client);
        continue;
      }
      wires.push(
        Deno.connect({ hostname: this.target.host, port: this.target.port }).then(
          (server) => this.#wire(client, server),
          () => close(client),
        ),
      );
    }
    await Promise.all(wires);
  }

  async #wire(client: Deno.TcpConn, server: Deno.TcpConn): Promise<void> {
    this.#open.add(client).add(server);
    await Promise.all([
      this.#pass(client, server, (bytes) => this.onRequest(bytes)),
      this.#pass(server, client, (bytes) => this.onAnswer(bytes)),
    ]);
  }

  async #pass(from: Deno.TcpConn, to: Deno.TcpConn, watch: Watch): Promise<void> {
    const buffer = new Uint8Array(64 * 1024);
    try {
      for (;;) {
        const count = await from.read(buffer);
        if (count === null) break;
        if (this.silent) continue;
        const bytes = buffer.subarray(0, count);
        if (!watch(bytes)) {
          this.cuts++;
          break;
        }
        for (let done = 0; done < count;) done += await to.write(bytes.subarray(done));
      }
    } catch {
      // Either side went away: so does the other.
    }
    // What is closed while the wire is silent stays open on its other side, for good.
    for (const one of this.silent ? [from] : [from, to]) {
      close(one);
      this.#open.delete(one);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    for (const one of this.#open) close(one);
    await this.#accepting;
  }
}

function close(connection: Deno.TcpConn): void {
  try {
    connection.close();
  } catch {
    // Closed already.
  }
}
