/**
 * Folder `network`: finds TCP ports, and puts proxies between clients and servers. A proxy can delay, cut and reset
 * connections. It does not interpret the bytes that it forwards.
 *
 * A lane is one direction of a link: it applies an impairment and keeps the order of the bytes.
 */
import type { Socket } from "node:net";

export interface Impairment {
  /** Delay of every piece of data. The order stays. */
  readonly latencyMs?: number;
  /** Upper limit of a random delay that each piece gets on top of `latencyMs`. */
  readonly jitterMs?: number;
  /** Simulates a slow reader: the lane reads no more while it holds about 1 MiB. */
  readonly bytesPerSecond?: number;
  /** Closes a connection, usually in the middle of a message, after this many more bytes. */
  readonly byteLimit?: number;
  /**
   * The connections become half-open: the lane discards all bytes and also the end of a connection. Neither side
   * receives anything, and the link still accepts new connections. A connection that lost bytes stays silent after
   * `heal`, because the receiver could not interpret the bytes after the missing ones.
   */
  readonly silent?: boolean;
}

/** Sees each piece before the lane forwards it. If it returns false, the link resets the connection instead. */
export type Watch = (bytes: Uint8Array) => boolean;

/** The two sockets of one connection. */
export interface Wire {
  readonly closed: boolean;
  /** Closes with a TCP reset, as after a crash, so that both sides see an error. */
  readonly reset: () => void;
  /** Closes in order, after it has sent everything that was written. */
  readonly end: () => void;
  /** Closes only the side that has already ended, so that the other side does not notice. */
  readonly abandon: (from: Socket) => void;
}

/** Limit of the bytes of a connection that wait in a lane. Above it, the lane does not read from the sender. */
const HELD_BYTES = 1024 * 1024;
/** With `bytesPerSecond`, a piece is as large as what passes in a twentieth of a second. */
const PIECES_PER_SECOND = 20;

export class Lane {
  watch: Watch = () => true;
  cuts = 0;
  #impairment: Impairment = {};
  readonly #random: () => number;
  /** Wakes each waiting delivery, so that a new impairment applies at once. */
  readonly #sleepers = new Set<() => void>();

  constructor(random: () => number) {
    this.#random = random;
  }

  get impairment(): Impairment {
    return this.#impairment;
  }

  set impairment(impairment: Impairment) {
    this.#impairment = impairment;
    this.wake();
  }

  wake(): void {
    for (const wake of [...this.#sleepers]) wake();
  }

  /** Forwards bytes until one side ends. Never throws. */
  async pass(from: Socket, to: Socket, wire: Wire): Promise<void> {
    const flow = new Flow();
    let delivered = Promise.resolve();
    try {
      for await (const bytes of from as AsyncIterable<Uint8Array>) {
        const arrivedAt = performance.now();
        const jitter = this.#random();
        flow.held += bytes.length;
        delivered = delivered.then(async () => {
          await this.#until(arrivedAt, jitter, wire);
          await this.#deliver(bytes, to, wire, flow);
          flow.held -= bytes.length;
        });
        if (flow.held > HELD_BYTES) await delivered;
      }
    } catch {
      if (!this.#isSilent(flow)) wire.reset();
    }
    await delivered;
    if (this.#isSilent(flow)) wire.abandon(from);
    else wire.end();
  }

  async #until(arrivedAt: number, jitter: number, wire: Wire): Promise<void> {
    for (;;) {
      const { latencyMs = 0, jitterMs = 0 } = this.#impairment;
      const restMs = arrivedAt + latencyMs + jitter * jitterMs - performance.now();
      if (latencyMs + jitterMs === 0 || restMs <= 0 || wire.closed) return;
      await this.#sleep(restMs);
    }
  }

  async #deliver(bytes: Uint8Array, to: Socket, wire: Wire, flow: Flow): Promise<void> {
    if (this.#isSilent(flow)) {
      flow.lostBytes = true;
      return;
    }
    if (wire.closed) return;
    if (!this.watch(bytes)) {
      this.cuts++;
      wire.reset();
      return;
    }
    // The piece arrives even if `watch` has just made the lane silent. The silence begins with the next piece.
    for (let done = 0; done < bytes.length && !wire.closed;) {
      const { byteLimit = Infinity, bytesPerSecond } = this.#impairment;
      flow.countFor(this.#impairment);
      const atOnce = bytesPerSecond === undefined
        ? Infinity
        : Math.max(1, Math.floor(bytesPerSecond / PIECES_PER_SECOND));
      const piece = bytes.subarray(done, done + Math.min(atOnce, byteLimit - flow.passed));
      if (!to.write(piece)) await drained(to);
      done += piece.length;
      flow.passed += piece.length;
      if (flow.passed >= byteLimit) wire.end();
      else if (bytesPerSecond !== undefined) await this.#sleep(1000 * piece.length / bytesPerSecond);
    }
  }

  #isSilent(flow: Flow): boolean {
    return flow.lostBytes || this.#impairment.silent === true;
  }

  #sleep(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const wake = () => {
        clearTimeout(timer);
        this.#sleepers.delete(wake);
        resolve();
      };
      const timer = setTimeout(wake, ms);
      this.#sleepers.add(wake);
    });
  }
}

class Flow {
  held = 0;
  /** Bytes that were delivered since the current impairment was set. */
  passed = 0;
  lostBytes = false;
  #since: Impairment = {};

  countFor(impairment: Impairment): void {
    if (this.#since !== impairment) this.passed = 0;
    this.#since = impairment;
  }
}

function drained(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      socket.off("drain", done).off("close", done);
      resolve();
    };
    socket.once("drain", done).once("close", done);
    if (socket.destroyed) done();
  });
}
