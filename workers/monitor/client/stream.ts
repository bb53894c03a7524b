/** Reads the page's event stream, and connects again whenever it breaks. */

/** The monitor sends an event at least every second, unless a query waits for its time limit. */
const SILENT_AFTER_MS = 30_000;

/** `refused`: the session ended, so another attempt cannot succeed. */
export type StreamState = "open" | "lost" | "refused";

interface Listener {
  /** @param why in the server's words, or empty */
  readonly onState: (state: StreamState, why: string) => void;
  readonly onEvent: (name: string, data: unknown) => void;
}

// EventSource would hide why the server refused.
export class Stream {
  #stop = new AbortController();
  #heardAt = Infinity;

  constructor(private readonly path: string, private readonly listener: Listener) {}

  /** Connects at once, also if it is connected. */
  open(): void {
    this.close();
    this.#stop = new AbortController();
    void this.#run(this.#stop.signal);
  }

  close(): void {
    this.#stop.abort();
    this.#heardAt = Infinity;
  }

  /** Once a second: the browser does not notice a connection that died, for example while the computer slept. */
  check(): void {
    if (Date.now() - this.#heardAt > SILENT_AFTER_MS) this.open();
  }

  async #run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      this.#heardAt = Date.now();
      let why = "";
      try {
        const response = await fetch(this.path, { headers: { accept: "text/event-stream" }, signal });
        if (response.ok && response.body !== null) await this.#read(response.body, signal);
        else why = await response.text();
        if (response.status === 401) {
          this.close();
          return this.listener.onState("refused", why);
        }
      } catch {
        // The browser's own texts, such as "Failed to fetch", say nothing more than "disconnected".
      }
      if (signal.aborted) return;
      this.listener.onState("lost", why);
      // Random, so that not all viewers return at the same moment.
      await new Promise((resolve) => setTimeout(resolve, 1_000 + 4_000 * Math.random()));
    }
  }

  async #read(body: ReadableStream<Uint8Array<ArrayBuffer>>, signal: AbortSignal): Promise<void> {
    this.listener.onState("open", "");
    const reader = body.pipeThrough(new TextDecoderStream()).getReader();
    for (let rest = "";;) {
      const { value, done } = await reader.read();
      if (done || signal.aborted) return;
      this.#heardAt = Date.now();
      const events = (rest + value).split("\n\n");
      rest = events.pop() ?? "";
      for (const event of events) {
        const [, name, data] = /^event: (\w+)\ndata: (.*)$/.exec(event) ?? [];
        if (name !== undefined && data !== undefined) this.listener.onEvent(name, JSON.parse(data));
      }
    }
  }
}
