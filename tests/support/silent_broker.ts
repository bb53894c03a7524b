import { Buffer } from "node:buffer";
import { connect, createServer, type Server, type Socket } from "node:net";
import { readAnswer } from "./record_batch.ts";

const HOST = "127.0.0.1";
const FETCH = 1;
// A request header has two 16-bit numbers, the API key and its version, and then the correlation id.
const CORRELATION_AT = 4;

/** A proxy that removes the records from fetch responses of chosen partitions. Kafka's tiered storage can answer like this. */
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
    /** Number of responses that lost their records, by partition. Add a partition to remove its records. */
    emptied,
    [Symbol.asyncDispose]: async () => {
      const closed = new Promise((resolve) => server.close(resolve));
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

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
    // The socket was closed.
  }
}

/** Returns a copy of the response without the records of the chosen partitions. */
function withoutRecords(answer: Buffer, emptied: Map<number, number>): Buffer {
  let rest = answer;
  // Backwards, so that the positions of the earlier partitions stay valid.
  for (const { partition, records } of readAnswer(answer).partitions.toReversed()) {
    const times = emptied.get(partition);
    if (times === undefined || records.length === 0) continue;
    emptied.set(partition, times + 1);
    const at = records.byteOffset - answer.byteOffset;
    // An unsigned varint (7 bits per byte) holds the length plus one.
    const lengthBytes = Math.ceil((32 - Math.clz32(records.length + 1)) / 7);
    const nothing = Buffer.from([1]);
    rest = Buffer.concat([rest.subarray(0, at - lengthBytes), nothing, rest.subarray(at + records.length)]);
  }
  return rest;
}
