/**
 * Folder `network`: TCP ports, and links between client and server that can be slowed, cut and reset. It never looks into what
 * it passes on.
 *
 * One direction of a link: what is wrong with it, and the passing on of bytes in their order.
 */
import type { Socket } from "node:net";

/** What is wrong with a direction. Nothing set: it is well. */
export interface Impairment {
  /** Every piece arrives so much later, in order. */
  readonly latencyMs?: number;
  /** And up to so much later still, each piece by chance. */
  readonly jitterMs?: number;
  /** A slow reader: the sender is held back once about a megabyte is under way. */
  readonly bytesPerSecond?: number;
  /** A connection ends, in the middle of a message most often, once so many bytes more have passed on it. */
  readonly byteLimit?: number;
  /**
   * Half-open: all is swallowed, the end of a connection too. Neither side hears of the other, new connections are
   * accepted. A connection that lost bytes stays silent when the link is healed: what followed a hole would be nonsense.
   */
  readonly silent?: boolean;
}

/** What passes in one piece. Return false to cut the connection instead of passing it on. */
export type Watch = (bytes: Uint8Array) => boolean;

/** Both ends of one connection. */
export interface Wire {
  readonly closed: boolean;
  /** By a reset, as a crash would: both sides see an error. */
  readonly reset: () => void;
  /** In order, as far as both sides can tell. */
  readonly end: () => void;
  /** One side went away and the other must not hear of it. */
  readonly abandon: (from: Socket) => void;
}

/** What may wait in a lane for its time, per connection. Beyond it the sender is not read any more. */
const HELD_BYTES = 1024 * 1024;
/** A slow lane passes its bytes in this many pieces a second. */
const PIECES_PER_SECOND = 20;

export class Lane {
  watch: Watch = () => true;
  /** How many connections the watch has cut. */
  cuts = 0;
  #impairment: Impairment = {};
  readonly #random: () => number;
  /** Of those who wait for a time: a change lets them look again. */
  readonly #sleepers = new Set<() => void>();

  /** @param random in [0, 1), for the jitter */
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

  /** Passes on what `from` says until one of the two ends. Never throws. */
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
      // It was reset, or it went away with its wire.
      if (!this.#isSilent(flow)) wire.reset();
    }
    await delivered;
    if (this.#isSilent(flow)) wire.abandon(from);
    else wire.end();
  }

  async #until(arrivedAt: number, jitter: number, wire: Wire): Promise<void> {
    // Looked at anew after each wait: a heal lets everything go at once.
    for (;;) {
      const { latencyMs = 0, jitterMs = 0 } = this.#impairment;
      const restMs = arrivedAt + latencyMs + jitter * jitterMs - performance.now();
      if (latencyMs + jitterMs === 0 || restMs <= 0 || wire.closed) return;
      await this.#sleep(restMs);
    }
  }

  async #deliver(bytes: Uint8Array, to: Socket, wire: Wire, flow: Flow): Promise<void> {
    if (this.#isSilent(flow)) {
      flow.deaf = true;
      return;
    }
    if (wire.closed) return;
    if (!this.watch(bytes)) {
      this.cuts++;
      wire.reset();
      return;
    }
    // What a watch silences the lane for still arrives.
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
    return flow.deaf || this.#impairment.silent === true;
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

/** What is known of one connection in one direction. */
class Flow {
  /** Bytes that were read and not delivered. */
  held = 0;
  /** Bytes that were delivered since the impairment was set. */
  passed = 0;
  /** Bytes of it were swallowed. */
  deaf = false;
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
