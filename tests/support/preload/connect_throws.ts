/** Loaded into a worker before its own code: a connection to port 1 is not refused, its attempt throws and is told. */
import { Socket } from "node:net";

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
