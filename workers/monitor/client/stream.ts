/** Reads the page's event stream, and connects again whenever it breaks. */

/** The monitor sends an event at least every second, unless a query waits for its time limit. */
const SILENT_AFTER_MS = 30_000;
const MAX_PAUSE_MS = 10_000;

export type StreamState =
  | { readonly kind: "connecting" | "open" }
  | { readonly kind: "lost"; readonly why: string; readonly retryAt: number }
  /** The session ended: another attempt cannot succeed. */
  | { readonly kind: "refused"; readonly why: string };

interface Listener {
  readonly onState: (state: StreamState) => void;
  readonly onEvent: (name: string, data: unknown) => void;
}

export class Stream {
  #stop: AbortController | undefined;

  constructor(private readonly path: string, private readonly listener: Listener) {}

  /** Connects at once, also if it is connected. */
  open(): void {
    this.close();
    this.#stop = new AbortController();
    void this.#run(this.#stop.signal);
  }

  close(): void {
    this.#stop?.abort();
  }

  async #run(stop: AbortSignal): Promise<void> {
    for (let failures = 0; !stop.aborted; failures++) {
      let why = "";
      this.listener.onState({ kind: "connecting" });
      try {
        const refused = await this.#read(stop, () => failures = 0);
        if (refused !== undefined) return this.listener.onState({ kind: "refused", why: refused });
      } catch (error) {
        // The browser's own texts, such as "Failed to fetch", say nothing more than "disconnected".
        if (error instanceof Refusal) why = error.message;
      }
      if (stop.aborted) return;
      // Half of the pause is random, so that not all viewers return at the same moment.
      const pauseMs = Math.min(MAX_PAUSE_MS, 1_000 * 2 ** failures) * (0.5 + Math.random() / 2);
      this.listener.onState({ kind: "lost", why, retryAt: Date.now() + pauseMs });
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
    }
  }

  /** @returns why the session has no access, or undefined when the stream ended */
  async #read(stop: AbortSignal, onOpen: () => void): Promise<string | undefined> {
    // EventSource would hide the status, and it does not notice a connection that died while the computer slept.
    const silence = new AbortController();
    const signal = AbortSignal.any([stop, silence.signal]);
    let timer = setTimeout(() => silence.abort(), SILENT_AFTER_MS);
    try {
      const response = await fetch(this.path, { headers: { accept: "text/event-stream" }, signal });
      if (response.status === 401) return await response.text();
      if (!response.ok || response.body === null) throw new Refusal(await response.text());
      onOpen();
      this.listener.onState({ kind: "open" });
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      for (let rest = ""; !signal.aborted;) {
        const { value, done } = await reader.read();
        if (done) return;
        clearTimeout(timer);
        timer = setTimeout(() => silence.abort(), SILENT_AFTER_MS);
        const events = (rest + value).split("\n\n");
        rest = events.pop() ?? "";
        for (const event of events) if (!stop.aborted) this.#receive(event);
      }
    } finally {
      clearTimeout(timer);
    }
  }

  #receive(event: string): void {
    const [, name, data] = /^event: (\w+)\ndata: (.*)$/.exec(event) ?? [];
    if (name !== undefined && data !== undefined) this.listener.onEvent(name, JSON.parse(data));
  }
}

class Refusal extends Error {}
