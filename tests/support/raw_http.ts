/** @returns everything that the server sends until it closes the connection */
export async function ask(port: number, request: string): Promise<string> {
  using connection = await Deno.connect({ hostname: "127.0.0.1", port });
  let answer = "";
  try {
    await connection.write(new TextEncoder().encode(request));
    for await (const bytes of connection.readable) answer += new TextDecoder().decode(bytes);
  } catch (error) {
    // The server may close the connection before it has read everything.
    if (!(error instanceof Deno.errors.ConnectionReset || error instanceof Deno.errors.BrokenPipe)) {
      throw error;
    }
  }
  return answer;
}

/** Opens connections that never finish their request. */
export class SlowClients implements AsyncDisposable {
  readonly #connections: Deno.TcpConn[] = [];
  readonly #ends: Promise<void>[] = [];
  readonly #open = new Set<number>();

  get open(): number {
    return this.#open.size;
  }

  /** Numbers of the open connections, in the order in which they were made. */
  get openNumbers(): number[] {
    return [...this.#open];
  }

  async connect(port: number, count: number, sent: string): Promise<void> {
    for (let n = 0; n < count; n++) await this.#connectOne(port, sent);
  }

  /** Opens all at the same time, so that the server accepts several before it closes one. */
  async connectAtOnce(port: number, count: number, sent: string): Promise<void> {
    await Promise.all(Array.from({ length: count }, () => this.#connectOne(port, sent)));
  }

  async #connectOne(port: number, sent: string): Promise<void> {
    const connection = await Deno.connect({ hostname: "127.0.0.1", port });
    const number = this.#connections.push(connection) - 1;
    this.#open.add(number);
    this.#ends.push(this.#end(connection).finally(() => this.#open.delete(number)));
    if (sent !== "") await connection.write(new TextEncoder().encode(sent));
  }

  async #end(connection: Deno.TcpConn): Promise<void> {
    const buffer = new Uint8Array(1024);
    try {
      while (await connection.read(buffer) !== null);
    } catch {
      // The server reset the connection.
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const connection of this.#connections) connection.close();
    await Promise.all(this.#ends);
  }
}
