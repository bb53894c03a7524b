/** A socket whose every failure to connect is an event. */
import { Socket } from "node:net";

/**
 * What connect() throws (a port that does not exist, a right that is missing) fails the connection like anything else:
 * the pool would count a connection that threw as open for ever, and wait for it when the program ends.
 */
export class TellingSocket extends Socket {
  override connect(...to: unknown[]): this {
    try {
      return Reflect.apply(super.connect, this, to);
    } catch (error) {
      return this.destroy(error instanceof Error ? error : new Error(String(error)));
    }
  }
}
