/** The link that faults are made with, on real sockets: what it spoils, it spoils as told, and heals. */
import { deepStrictEqual, ok, rejects, strictEqual } from "node:assert";
import { Buffer } from "node:buffer";
import { type Link, openLink } from "../../stack/network/link.ts";
import { eventually } from "../../lab/eventually.ts";

const MEGABYTE = 1024 * 1024;
const TURNS = 10;

/** A server that keeps what it hears, and answers with the same unless told to only listen. */
class Echo implements AsyncDisposable {
  heard = 0;
  /** Connections that are open, as far as the server can tell. */
  open = 0;
  answers = true;
  readonly #listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  readonly #connections: Deno.TcpConn[] = [];
  readonly #serving = this.#accept();

  get port(): number {
    return this.#listener.addr.port;
  }

  async #accept(): Promise<void> {
    const talks: Promise<void>[] = [];
    for await (const one of this.#listener) {
      this.#connections.push(one);
      talks.push(this.#talk(one));
    }
    await Promise.all(talks);
  }

  async #talk(one: Deno.TcpConn): Promise<void> {
    this.open++;
    const buffer = new Uint8Array(64 * 1024);
    try {
      for (;;) {
        const count = await one.read(buffer);
        if (count === null) break;
        this.heard += count;
        if (this.answers) await writeAll(one, buffer.subarray(0, count));
      }
    } catch {
      // The other side went away, which is what some of the tests are about.
    }
    this.open--;
    close(one);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    for (const one of this.#connections) close(one);
    await this.#serving;
  }
}

function close(connection: Deno.TcpConn): void {
  try {
    connection.close();
  } catch {
    // Closed already.
  }
}

async function writeAll(to: Deno.TcpConn, bytes: Uint8Array): Promise<void> {
  for (let done = 0; done < bytes.length;) done += await to.write(bytes.subarray(done));
}

/** A client that keeps everything it hears. */
class Client implements Disposable {
  heard = Buffer.alloc(0);
  /** How it ended: "end", or the name of the error. */
  ended: string | undefined;
  /** Bytes that the operating system took. */
  said = 0;
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
        this.heard = Buffer.concat([this.heard, buffer.subarray(0, count)]);
      }
      this.ended = "end";
    } catch (error) {
      this.ended = error instanceof Error ? error.name : String(error);
    }
  }

  async say(text: string): Promise<void> {
    await writeAll(this.#connection, Buffer.from(text));
  }

  async sayBytes(count: number): Promise<void> {
    for (const chunk = new Uint8Array(64 * 1024); this.said < count;) {
      this.said += await this.#connection.write(chunk);
    }
  }

  async hears(text: string): Promise<void> {
    await eventually(`to hear ${text.slice(0, 40)}`, () => this.heard.toString() === text, {
      seen: () => this.heard.toString().slice(-200),
    });
  }

  /** What happens meanwhile elsewhere has had its time: a few answers came and went on this connection. */
  async talks(turns = TURNS): Promise<void> {
    for (let turn = 0; turn < turns; turn++) {
      const before = this.heard.length;
      await this.say("turn");
      await eventually("an answer", () => this.heard.length === before + 4);
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

Deno.test("bytes pass both ways, and in their order when each piece is late by another time", async () => {
  await using server = new Echo();
  // Every second piece is in no hurry.
  let piece = 0;
  await using link = await openLink({ host: "127.0.0.1", port: server.port }, () => ++piece % 2 * 0.9);
  using client = await Client.to(link);
  using other = await Client.to(server);
  link.impair({ jitterMs: 2_000 }, "requests");
  const texts = ["one,", "two,", "three,", "four,", "five,", "six"];
  for (const text of texts) {
    await client.say(text);
    // The next one is a piece of its own, not the end of this.
    await other.talks(1);
  }
  await client.hears(texts.join(""));
  ok(piece >= texts.length, `${piece} pieces`);
});

Deno.test(
  "what is late by an hour arrives when the link is healed, on the same connection",
  onLink(async (link, server) => {
    using client = await Client.to(link);
    using other = await Client.to(server);
    link.impair({ latencyMs: 3_600_000 }, "requests");
    await client.say("late");
    await other.talks();
    strictEqual(client.heard.length, 0);
    link.heal();
    await client.hears("late");
    strictEqual(client.ended, undefined);
  }),
);

Deno.test(
  "a cut resets every connection and each new one, until it is healed",
  onLink(async (link, server) => {
    using before = await Client.to(link);
    await before.say("before");
    await before.hears("before");
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
    await after.say("after");
    await after.hears("after");
  }),
);

Deno.test(
  "a silent link accepts, swallows and closes nothing; what lost bytes stays silent, a new connection is well",
  onLink(async (link, server) => {
    using before = await Client.to(link);
    await before.say("before");
    await before.hears("before");
    using idle = await Client.to(link);
    await idle.say("idle");
    await idle.hears("idle");
    link.impair({ silent: true });
    await before.say("lost");
    using gone = await Client.to(link);
    await gone.say("lost too");
    using other = await Client.to(server);
    await other.talks();
    gone[Symbol.dispose]();
    await other.talks();
    deepStrictEqual([before.heard.toString(), before.ended], ["before", undefined]);
    strictEqual(server.open, 4, "the server does not know that one went away");
    link.heal();
    await before.say("into the void");
    await idle.say(", well");
    await idle.hears("idle, well");
    using after = await Client.to(link);
    await after.say("after");
    await after.hears("after");
    deepStrictEqual([before.heard.toString(), before.ended], ["before", undefined]);
    strictEqual(link.endAbandoned(), 1);
    await eventually("the server to hear of it", () => server.open === 4);
  }),
);

Deno.test(
  "silence in one direction lets the other pass",
  onLink(async (link, server) => {
    using client = await Client.to(link);
    link.impair({ silent: true }, "answers");
    await client.say("heard");
    await eventually("the server to hear it", () => server.heard === 5);
    using other = await Client.to(server);
    await other.talks();
    strictEqual(client.heard.length, 0);
  }),
);

Deno.test(
  "a slow link holds its sender back instead of keeping what it said, and loses nothing",
  onLink(async (link, server) => {
    server.answers = false;
    using client = await Client.to(link);
    using other = await Client.to(server);
    link.impair({ bytesPerSecond: 1_000 }, "requests");
    const saying = client.sayBytes(64 * MEGABYTE);
    await eventually("something to arrive", () => server.heard > 0);
    server.answers = true;
    await other.talks();
    server.answers = false;
    const heard = server.heard - 4 * TURNS;
    ok(client.said < 32 * MEGABYTE, `${client.said} bytes were taken while ${heard} arrived`);
    link.heal();
    await saying;
    await eventually("all of it", () => server.heard === 4 * TURNS + client.said);
  }),
);

Deno.test(
  "a byte limit ends each connection after that many bytes, counted from when it is set",
  onLink(async (link) => {
    using client = await Client.to(link);
    await client.say("counted not");
    await client.hears("counted not");
    link.impair({ byteLimit: 5 }, "answers");
    await client.say("1234567");
    await eventually("the end", () => client.ended);
    strictEqual(client.heard.toString(), "counted not12345");
    using next = await Client.to(link);
    await next.say("abcdefg");
    await eventually("the end", () => next.ended);
    strictEqual(next.heard.toString(), "abcde");
  }),
);

Deno.test(
  "a watch cuts at the very piece that it was waiting for, and is counted",
  onLink(async (link, server) => {
    using client = await Client.to(link);
    link.onRequest = (bytes) => !Buffer.from(bytes).includes("stop");
    await client.say("go");
    await client.hears("go");
    await client.say("stop");
    await eventually("the reset", () => client.ended === "ConnectionReset", { seen: () => client.ended });
    deepStrictEqual([link.cuts, server.heard], [1, 2]);
  }),
);

Deno.test("a client of a server that is not there is reset", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  listener.close();
  await using link = await openLink({ host: "127.0.0.1", port });
  using client = await Client.to(link);
  await eventually("the reset", () => client.ended === "ConnectionReset", { seen: () => client.ended });
});
