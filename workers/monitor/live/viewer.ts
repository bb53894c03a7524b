/** If a browser takes no data for this long, the monitor disconnects it. Otherwise the queue of unsent events would grow. */
const STALLED_AFTER_MS = 5_000;

/** One open event stream. */
export class Viewer {
  readonly stream: ReadableStream<Uint8Array>;
  #controller: ReadableStreamDefaultController<Uint8Array> | undefined;
  #emptyAt = performance.now();

  /** @param onLeave called once, when the browser has gone or was disconnected */
  constructor(private readonly onLeave: (viewer: Viewer, why: "left" | "stalled") => void) {
    this.stream = new ReadableStream({
      start: (controller) => void (this.#controller = controller),
      cancel: () => this.#leave("left"),
    });
  }

  send(bytes: Uint8Array): void {
    const now = performance.now();
    // The stream wants more only when its queue is empty. The queue holds the same bytes as that of each other viewer.
    if ((this.#controller?.desiredSize ?? 0) > 0) this.#emptyAt = now;
    if (now - this.#emptyAt <= STALLED_AFTER_MS) return this.#controller?.enqueue(bytes);
    // An error discards what is queued. close() would wait until the browser takes it.
    this.#controller?.error(new Error("the viewer takes no data"));
    this.#leave("stalled");
  }

  end(): void {
    this.#controller?.close();
    this.#leave("left");
  }

  #leave(why: "left" | "stalled"): void {
    if (this.#controller === undefined) return;
    this.#controller = undefined;
    this.onLeave(this, why);
  }
}
