import { Buffer } from "node:buffer";
import { randomBytes } from "node:crypto";
import { createServer, type Server, type Socket } from "node:net";
// @ts-types="@types/pg"
import pg from "pg";
import { HOST } from "../../stack/network/ports.ts";
import { eventually } from "../../lab/eventually.ts";

/**
 * A connection pooler on loopback, similar to PgBouncer. In `transaction` mode a client keeps a session until its transaction
 * ends, in `session` mode until it disconnects. It gives clients its own cancel keys and does not track prepared statements.
 */
export interface PoolerOptions {
  readonly mode: "transaction" | "session";
  /** Maximum number of sessions on the server. */
  readonly size: number;
  /** If true, the pooler reuses the session that was idle longest (PgBouncer's server_round_robin), not the newest one. */
  readonly roundRobin?: boolean;
}

const SSL_REQUEST = 80877103;
const TERMINATE = "X".charCodeAt(0);
const READY = "Z".charCodeAt(0);
const IDLE = "I".charCodeAt(0);

interface Backend {
  readonly client: pg.Client;
  readonly socket: Socket;
}

export async function openPooler(url: string, options: PoolerOptions): Promise<Pooler> {
  const server = createServer({ noDelay: true });
  await new Promise<void>((resolve) => server.listen(0, HOST, resolve));
  return new Pooler(url, server, options);
}

export class Pooler implements AsyncDisposable {
  /** URL for clients. The pooler does not check user and password. */
  readonly url: string;
  readonly #serverUrl: string;
  readonly #server: Server;
  readonly #options: PoolerOptions;
  readonly #clients = new Set<Socket>();
  readonly #backends = new Set<Backend>();
  readonly #free: Backend[] = [];
  readonly #waiting: ((backend: Backend) => void)[] = [];
  #opened = 0;

  constructor(url: string, server: Server, options: PoolerOptions) {
    this.#serverUrl = url;
    this.#server = server;
    this.#options = options;
    const own = new URL(url);
    own.host = `${HOST}:${(server.address() as { port: number }).port}`;
    this.url = own.href;
    server.on("connection", (socket) => this.#serve(socket));
  }

  /** Opens all sessions, so that the mode decides which one a client gets. */
  async fill(): Promise<void> {
    while (this.#opened < this.#options.size) this.#release(await this.#open());
  }

  async #open(): Promise<Backend> {
    this.#opened++;
    const client = new pg.Client({ connectionString: this.#serverUrl });
    await client.connect();
    client.on("error", () => {});
    const { stream: socket } = (client as unknown as { connection: { stream: Socket } }).connection;
    // From here on, the pooler reads the bytes of the session itself. The driver no longer reads them.
    socket.removeAllListeners("data");
    const backend = { client, socket };
    this.#backends.add(backend);
    return backend;
  }

  async #take(): Promise<Backend> {
    const backend = this.#options.roundRobin ? this.#free.shift() : this.#free.pop();
    if (backend !== undefined) return backend;
    if (this.#opened < this.#options.size) return await this.#open();
    return await new Promise((resolve) => this.#waiting.push(resolve));
  }

  #release(backend: Backend): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#free.push(backend);
    else next(backend);
  }

  async #serve(socket: Socket): Promise<void> {
    this.#clients.add(socket);
    socket.once("close", () => this.#clients.delete(socket));
    let backend: Backend | undefined;
    try {
      for await (const message of read(socket)) {
        if (message[0] === TERMINATE) break;
        if (backend === undefined) {
          const taken = backend = await this.#take();
          const isIdle = readyForQuery();
          taken.socket.on("data", (bytes: Buffer) => {
            if (isIdle(bytes) && this.#options.mode === "transaction") {
              taken.socket.removeAllListeners("data");
              backend = undefined;
              this.#release(taken);
            }
            socket.write(bytes);
          });
        }
        backend.socket.write(message);
      }
    } catch {
      // The client disconnected.
    }
    if (backend !== undefined) await this.#replace(backend);
    socket.destroy();
  }

  // In session mode, the next client must not see what this client set in the session.
  async #replace(backend: Backend): Promise<void> {
    backend.socket.destroy();
    this.#backends.delete(backend);
    this.#opened--;
    const next = this.#waiting.shift();
    if (next !== undefined) next(await this.#open());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#clients) socket.destroy();
    for (const { socket } of this.#backends) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
    await eventually("the pooler's sessions to end", () => this.#clients.size === 0);
  }
}

/** Yields whole messages of a client. Answers the messages before the first query itself. */
async function* read(socket: Socket): AsyncGenerator<Buffer> {
  let rest: Buffer = Buffer.alloc(0);
  let started = false;
  for await (const bytes of socket as AsyncIterable<Buffer>) {
    rest = Buffer.concat([rest, bytes]);
    for (;;) {
      const at = started ? 1 : 0;
      if (rest.length < at + 4) break;
      const length = at + rest.readInt32BE(at);
      if (rest.length < length) break;
      const message = rest.subarray(0, length);
      rest = rest.subarray(length);
      if (started) yield message;
      else if (message.readInt32BE(4) === SSL_REQUEST) socket.write("N");
      else {
        started = true;
        socket.write(welcome());
      }
    }
  }
}

// AuthenticationOk, BackendKeyData with a random cancel key, ReadyForQuery.
function welcome(): Buffer {
  const [authenticated, key, ready] = ["520000000800000000", "4b0000000c", "5a0000000549"];
  return Buffer.from(`${authenticated}${key}${randomBytes(8).toString("hex")}${ready}`, "hex");
}

/** Returns a function that is true when the bytes end with ReadyForQuery outside of a transaction. */
function readyForQuery(): (bytes: Buffer) => boolean {
  let rest: Buffer = Buffer.alloc(0);
  return (bytes) => {
    rest = Buffer.concat([rest, bytes]);
    let isIdle = false;
    while (rest.length >= 5 && rest.length >= 1 + rest.readInt32BE(1)) {
      const length = 1 + rest.readInt32BE(1);
      isIdle = rest[0] === READY && rest[5] === IDLE;
      rest = rest.subarray(length);
    }
    return isIdle && rest.length === 0;
  };
}
