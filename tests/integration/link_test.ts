import { deepStrictEqual, ok, rejects, strictEqual } from "node:assert";
import { Buffer } from "node:buffer";
import { type Link, openLink } from "../../stack/network/link.ts";
import { eventually } from "../../lab/eventually.ts";

const MEGABYTE = 1024 * 1024;
const ROUND_TRIPS = 10;

/** A server that sends back all bytes while `echoes` is true. */
class Echo implements AsyncDisposable {
  received = 0;
  /** Number of connections that are open from the server's point of view. */
  open = 0;
  echoes = true;
  readonly #listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  readonly #connections: Deno.TcpConn[] = [];
  readonly #serving = this.#accept();

  get port(): number {
    return this.#listener.addr.port;
  }

  async #accept(): Promise<void> {
    const echoing: Promise<void>[] = [];
    for await (const connection of this.#listener) {
      this.#connections.push(connection);
      echoing.push(this.#echo(connection));
    }
    await Promise.all(echoing);
  }

  async #echo(connection: Deno.TcpConn): Promise<void> {
    this.open++;
    const buffer = new Uint8Array(64 * 1024);
    try {
      for (;;) {
        const count = await connection.read(buffer);
        if (count === null) break;
        this.received += count;
        if (this.echoes) await writeAll(connection, buffer.subarray(0, count));
      }
    } catch {
      // The other side reset the connection.
    }
    this.open--;
    close(connection);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    for (const connection of this.#connections) close(connection);
    await this.#serving;
  }
}

function close(connection: Deno.TcpConn): void {
  try {
    connection.close();
  } catch {
    // It is closed already.
  }
}

async function writeAll(to: Deno.TcpConn, bytes: Uint8Array): Promise<void> {
  for (let done = 0; done < bytes.length;) done += await to.write(bytes.subarray(done));
}

class Client implements Disposable {
  received = Buffer.alloc(0);
  /** How the connection ended: "end", or the name of the error. */
  ended: string | undefined;
  /** Number of bytes that the operating system accepted. */
  sent = 0;
  readonly #connection: Deno.TcpConn;

  constructor(connection: Deno.TcpConn) {
    this.#connection = connection;
    this.#read();
  }

  static async to({ port }: { readonly port: number }): Promise<Client> {
    return new Client(await Deno.connect({ hostname: "127.0.0.1", port }));
  }

  async #read(): Promise<void> {
    const buffer = new Uint8Array(64 * 1024);
    try {
      for (;;) {
        const count = await this.#connection.read(buffer);
        if (count === null) break;
        this.received = Buffer.concat([this.received, buffer.subarray(0, count)]);
      }
      this.ended = "end";
    } catch (error) {
      this.ended = error instanceof Error ? error.name : String(error);
    }
  }

  async send(text: string): Promise<void> {
    await writeAll(this.#connection, Buffer.from(text));
  }

  async sendBytes(count: number): Promise<void> {
    for (const chunk = new Uint8Array(64 * 1024); this.sent < count;) {
      this.sent += await this.#connection.write(chunk);
    }
  }

  async waitFor(text: string): Promise<void> {
    await eventually(`the client to receive ${text.slice(0, 40)}`, () => this.received.toString() === text, {
      seen: () => this.received.toString().slice(-200),
    });
  }

  /** Takes some time, in which bytes that should not arrive on another connection could arrive there. */
  async makeRoundTrips(count = ROUND_TRIPS): Promise<void> {
    for (let index = 0; index < count; index++) {
      const before = this.received.length;
      await this.send("ping");
      await eventually("an answer", () => this.received.length === before + 4);
    }
  }

  [Symbol.dispose](): void {
    close(this.#connection);
  }
}

function onLink(body: (link: Link, server: Echo) => Promise<void>): () => Promise<void> {
  return async () => {
    await using server = new Echo();
    await using link = await openLink({ host: "127.0.0.1", port: server.port });
    await body(link, server);
  };
}

Deno.test("a link passes bytes in both directions, and keeps their order even if chunks have different delays", async () => {
  await using server = new Echo();
  // Every second chunk has no delay, so it would overtake the one before it.
  let chunks = 0;
  await using link = await openLink({ host: "127.0.0.1", port: server.port }, () => ++chunks % 2 * 0.9);
  using client = await Client.to(link);
  using other = await Client.to(server);
  link.impair({ jitterMs: 2_000 }, "requests");
  const texts = ["one,", "two,", "three,", "four,", "five,", "six"];
  for (const text of texts) {
    await client.send(text);
    // Without a pause, TCP could join this text and the next one to one chunk.
    await other.makeRoundTrips(1);
  }
  await client.waitFor(texts.join(""));
  ok(chunks >= texts.length, `only ${chunks} chunks`);
});

Deno.test(
  "bytes that are delayed by an hour arrive on the same connection when the link is healed",
  onLink(async (link, server) => {
    using client = await Client.to(link);
    using other = await Client.to(server);
    link.impair({ latencyMs: 3_600_000 }, "requests");
    await client.send("late");
    await other.makeRoundTrips();
    strictEqual(client.received.length, 0);
    link.heal();
    await client.waitFor("late");
    strictEqual(client.ended, undefined);
  }),
);

Deno.test(
  "a cut link resets every open and new connection until it is healed",
  onLink(async (link, server) => {
    using before = await Client.to(link);
    await before.send("before");
    await before.waitFor("before");
    link.cut();
    await eventually("the reset", () => before.ended === "ConnectionReset", { seen: () => before.ended });
    await eventually("the server's reset", () => server.open === 0);
    await rejects(async () => {
      using during = await Client.to(link);
      await eventually("the reset", () => during.ended !== undefined);
      throw new Error(during.ended);
    }, /ConnectionReset/);
    link.heal();
    using after = await Client.to(link);
    await after.send("after");
    await after.waitFor("after");
  }),
);

Deno.test(
  "a silent link drops all bytes, and connections that lost bytes stay silent when the link is healed",
  onLink(async (link, server) => {
    using before = await Client.to(link);
    await before.send("before");
    await before.waitFor("before");
    using idle = await Client.to(link);
    await idle.send("idle");
    await idle.waitFor("idle");
    link.impair({ silent: true });
    await before.send("lost");
    using closed = await Client.to(link);
    await closed.send("lost too");
    using other = await Client.to(server);
    await other.makeRoundTrips();
    closed[Symbol.dispose]();
    await other.makeRoundTrips();
    deepStrictEqual([before.received.toString(), before.ended], ["before", undefined]);
    strictEqual(server.open, 4, "the server must not notice that the client closed a connection");
    link.heal();
    await before.send("lost again");
    await idle.send(", well");
    await idle.waitFor("idle, well");
    using after = await Client.to(link);
    await after.send("after");
    await after.waitFor("after");
    deepStrictEqual([before.received.toString(), before.ended], ["before", undefined]);
    strictEqual(link.endAbandoned(), 1);
    await eventually("the server to notice the end", () => server.open === 4);
  }),
);

Deno.test(
  "a link that is silent in one direction passes bytes in the other direction",
  onLink(async (link, server) => {
    using client = await Client.to(link);
    link.impair({ silent: true }, "answers");
    await client.send("heard");
    await eventually("the server to receive it", () => server.received === 5);
    using other = await Client.to(server);
    await other.makeRoundTrips();
    strictEqual(client.received.length, 0);
  }),
);

Deno.test(
  "a slow link slows down its sender instead of buffering, and loses no byte",
  onLink(async (link, server) => {
    server.echoes = false;
    using client = await Client.to(link);
    using other = await Client.to(server);
    link.impair({ bytesPerSecond: 1_000 }, "requests");
    const sending = client.sendBytes(64 * MEGABYTE);
    await eventually("something to arrive", () => server.received > 0);
    server.echoes = true;
    await other.makeRoundTrips();
    server.echoes = false;
    const received = server.received - 4 * ROUND_TRIPS;
    ok(client.sent < 32 * MEGABYTE, `the link took ${client.sent} bytes while ${received} arrived`);
    link.heal();
    await sending;
    await eventually("all bytes to arrive", () => server.received === 4 * ROUND_TRIPS + client.sent);
  }),
);

Deno.test(
  "a byte limit ends each connection after this number of bytes, counted from the time when the limit is set",
  onLink(async (link) => {
    using client = await Client.to(link);
    await client.send("not counted");
    await client.waitFor("not counted");
    link.impair({ byteLimit: 5 }, "answers");
    await client.send("1234567");
    await eventually("the end", () => client.ended);
    strictEqual(client.received.toString(), "not counted12345");
    using next = await Client.to(link);
    await next.send("abcdefg");
    await eventually("the end", () => next.ended);
    strictEqual(next.received.toString(), "abcde");
  }),
);

Deno.test(
  "a callback can cut a link before a request arrives, and the link counts the cut",
  onLink(async (link, server) => {
    using client = await Client.to(link);
    link.onRequest = (bytes) => !Buffer.from(bytes).includes("stop");
    await client.send("go");
    await client.waitFor("go");
    await client.send("stop");
    await eventually("the reset", () => client.ended === "ConnectionReset", { seen: () => client.ended });
    deepStrictEqual([link.cuts, server.received], [1, 2]);
  }),
);

Deno.test("a link resets a client whose server does not listen", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  listener.close();
  await using link = await openLink({ host: "127.0.0.1", port });
  using client = await Client.to(link);
  await eventually("the reset", () => client.ended === "ConnectionReset", { seen: () => client.ended });
});
