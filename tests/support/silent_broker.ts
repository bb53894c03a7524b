/** A way to a broker on which fetches of chosen partitions are answered without records, as Kafka's tiered storage does. */
import { Buffer } from "node:buffer";
import { connect, createServer, type Server, type Socket } from "node:net";

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

/** An answer to a fetch, versions 13 to 17: https://kafka.apache.org/protocol#The_Messages_Fetch */
function withoutRecords(answer: Buffer, emptied: Map<number, number>): Buffer {
  const out: Buffer[] = [];
  let at = 0;
  const copy = (bytes: number) => out.push(answer.subarray(at, at += bytes));
  const peekVarInt = () => {
    let [value, bytes] = [0, 0];
    do value += (answer.readUInt8(at + bytes) & 0x7f) * 2 ** (7 * bytes); while (
      answer.readUInt8(at + bytes++) & 0x80
    );
    return { value, bytes };
  };
  const copyVarInt = () => {
    const { value, bytes } = peekVarInt();
    copy(bytes);
    return value;
  };
  const copyTags = () => {
    for (let left = copyVarInt(); left > 0; left--) {
      copyVarInt();
      copy(copyVarInt());
    }
  };
  const copyArray = (item: () => void) => {
    for (let left = copyVarInt() - 1; left > 0; left--) item();
  };
  copy(4); // the request's number
  copyTags();
  copy(4 + 2 + 4); // throttle time, error, session
  copyArray(() => {
    copy(16); // the topic's id
    copyArray(() => {
      const partition = answer.readInt32BE(at);
      copy(4 + 2 + 3 * 8); // partition, error, high watermark, last stable offset, start
      copyArray(() => {
        copy(2 * 8); // an aborted transaction
        copyTags();
      });
      copy(4); // preferred replica
      const { value, bytes } = peekVarInt();
      const times = emptied.get(partition);
      if (times === undefined) copy(bytes + Math.max(0, value - 1));
      else {
        at += bytes + Math.max(0, value - 1);
        out.push(Buffer.from([1]));
        if (value > 1) emptied.set(partition, times + 1);
      }
      copyTags();
    });
    copyTags();
  });
  copyTags();
  return Buffer.concat(out);
}
