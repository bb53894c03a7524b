/** What lets the client tell of a connection that cannot even be tried, as to a port that does not exist. */
import { Connection, NetworkError } from "@platformatic/kafka";

const connect = Connection.prototype.connect;

/**
 * Where the socket throws, the client forgets whom to tell: the request would never end, and every later one to the same
 * broker would wait for it. Told as an event, it is a failed connection like any other.
 */
Connection.prototype.connect = function (this: Connection, host: string, port: number, ...done: never[]) {
  try {
    return Reflect.apply(connect, this, [host, port, ...done]);
  } catch (error) {
    const failure = new NetworkError(`Connection to ${host}:${port} failed.`, {
      cause: error instanceof Error ? error : new Error(String(error)),
    });
    queueMicrotask(() => this.emit("error", failure));
  }
};
