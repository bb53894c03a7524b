import { Buffer } from "node:buffer";
import { strictEqual } from "node:assert";
import { connect, createServer } from "node:net";
import { once } from "node:events";
import { openDatabase, sessionLimits } from "../../workers/_shared/postgres.ts";
import { onPlace } from "../support/services.ts";

const READY_FOR_QUERY = Buffer.from([0x5a, 0, 0, 0, 5, 0x49]);
const FIELDS = "SFATAL\0C57P01\0Mterminating connection due to administrator command\0\0";

/**
 * The message that PostgreSQL sends to each session when it shuts down (fast shutdown). Its layout:
 * https://www.postgresql.org/docs/current/protocol-message-formats.html
 */
function errorResponse(): Buffer {
  const head = Buffer.from([0x45, 0, 0, 0, 0]);
  head.writeInt32BE(4 + FIELDS.length, 1);
  return Buffer.concat([head, Buffer.from(FIELDS)]);
}

/** Relays bytes. If `takeEnd` returns true after a complete response, it sends the end of the session with this response. */
async function relay(target: { host: string; port: number }, takeEnd: () => boolean) {
  const server = createServer((client) => {
    const upstream = connect(target.port, target.host);
    client.on("error", () => {}).on("close", () => upstream.destroy()).pipe(upstream);
    upstream.on("error", () => {}).on("close", () => client.destroy());
    upstream.on("data", (bytes: Buffer) => {
      const isEnd = bytes.subarray(-READY_FOR_QUERY.length).equals(READY_FOR_QUERY) && takeEnd();
      client.write(isEnd ? Buffer.concat([bytes, errorResponse()]) : bytes);
    });
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("the relay listens on no port");
  return { port: address.port, [Symbol.dispose]: () => void server.close() };
}

Deno.test(
  "if the server ends a session between two uses of it, only the second query fails and the program continues",
  onPlace({ partitions: 0 }, async (place) => {
    const url = new URL(place.databaseUrl);
    let isEnding = false;
    using server = await relay(
      { host: url.hostname, port: Number(url.port) },
      () => isEnding && !(isEnding = false),
    );
    url.port = String(server.port);
    // The pool has two sessions. A transaction below holds one, so the waiting transaction gets the session of the first query.
    await using database = openDatabase(url.href, {
      connections: 1,
      limits: sessionLimits(30_000),
      name: "test",
    });
    await Promise.all([database.query("select pg_sleep(0.2)"), database.query("select pg_sleep(0.2)")]);
    const begun = Promise.withResolvers<void>();
    const held = Promise.withResolvers<void>();
    const holding = database.transaction(() => (begun.resolve(), held.promise));
    await begun.promise;
    const first = database.query("select pg_sleep(0.5)");
    const waiting = database.transaction((session) => session.query("select 1"));
    isEnding = true;
    await first;
    const outcome = await waiting.then(() => "answered", () => "failed");
    strictEqual(outcome, "failed");
    held.resolve();
    await holding;
    strictEqual((await database.query("select 1")).length, 1, "the pool must open another session");
  }),
);
