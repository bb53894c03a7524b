/** A way to a broker on which fetches of chosen partitions are answered without records, as Kafka's tiered storage does. */
import { Buffer } from "node:buffer";
import { connect, createServer, type Server, type Socket } from "node:net";
import { readAnswer } from "./record_batch.ts";

const HOST = "127.0.0.1";
const FETCH = 1;
/** In the header of a request: its kind and version, 16 bits each, and then the number that the answer repeats. */
const CORRELATION_AT = 4;

/** Opens one on a free port. @param target where the broker listens */
export async function openSilentBroker(target: { readonly host: string; readonly port: number }) {
  const emptied = new Map<number, number>();
  const sockets = new Set<Socket>();
  const server: Server = createServer((client) => {
    const broker = connect(target);
    const fetches = new Set<number>();
    for (const [from, to] of [[client, broker], [broker, client]] as const) {
      sockets.add(from);
      from.on("error", () => {});
      from.on("close", () => {
        sockets.delete(from);
        to.destroy();
      });
    }
    void pass(client, broker, (request) => {
      if (request.readInt16BE(0) === FETCH) fetches.add(request.readInt32BE(CORRELATION_AT));
      return request;
    });
    void pass(broker, client, (answer) => {
      return fetches.delete(answer.readInt32BE(0)) ? withoutRecords(answer, emptied) : answer;
    });
  });
  await new Promise<void>((resolve) => server.listen(0, HOST, resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new TypeError("a TCP port was expected");
  return {
    port: address.port,
    /** How many answers were emptied, by partition; answers of other partitions pass unchanged. */
    emptied,
    [Symbol.asyncDispose]: async () => {
      const closed = new Promise((resolve) => server.close(resolve));
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

/** Passes messages on one by one, each as `change` makes it. */
async function pass(from: Socket, to: Socket, change: (message: Buffer) => Buffer): Promise<void> {
  let rest = Buffer.alloc(0);
  try {
    for await (const bytes of from as AsyncIterable<Buffer>) {
      rest = Buffer.concat([rest, bytes]);
      while (rest.length >= 4 && rest.length >= 4 + rest.readInt32BE(0)) {
        const end = 4 + rest.readInt32BE(0);
        const message = change(rest.subarray(4, end));
        const length = Buffer.alloc(4);
        length.writeInt32BE(message.length);
        to.write(Buffer.concat([length, message]));
        rest = rest.subarray(end);
      }
    }
  } catch {
    // It was closed.
  }
}

/** An answer to a fetch, with its own bytes but for the records of the emptied partitions. */
function withoutRecords(answer: Buffer, emptied: Map<number, number>): Buffer {
  let rest = answer;
  // From the last on, so that the places of those before stay what they are.
  for (const { partition, records } of readAnswer(answer).partitions.toReversed()) {
    const times = emptied.get(partition);
    if (times === undefined || records.length === 0) continue;
    emptied.set(partition, times + 1);
    const at = records.byteOffset - answer.byteOffset;
    // A varint of seven bits a byte, one more than the length.
    const lengthBytes = Math.ceil((32 - Math.clz32(records.length + 1)) / 7);
    const nothing = Buffer.from([1]);
    rest = Buffer.concat([rest.subarray(0, at - lengthBytes), nothing, rest.subarray(at + records.length)]);
  }
  return rest;
}
