import { Socket } from "node:net";

// Preloaded into a worker: an attempt to connect to port 1 throws instead of being refused, and writes a log line.
const connect = Socket.prototype.connect as (...to: unknown[]) => Socket;
Object.assign(Socket.prototype, {
  connect(this: Socket, ...to: unknown[]) {
    const [target] = to.flat();
    const port = typeof target === "object" && target !== null && "port" in target ? target.port : target;
    if (Number(port) === 1) {
      Deno.stderr.writeSync(new TextEncoder().encode(`{"event":"test.connect_threw"}\n`));
      throw new RangeError("no such connection");
    }
    return Reflect.apply(connect, this, to);
  },
});
