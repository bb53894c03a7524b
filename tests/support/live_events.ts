import { eventually } from "../../lab/eventually.ts";

interface LiveEvent {
  readonly name: string;
  // deno-lint-ignore no-explicit-any -- a test reads fields that it knows
  readonly data: any;
}

/** Reads an event stream of the monitor in the background, as a browser does. */
export class Listener implements AsyncDisposable {
  readonly events: LiveEvent[] = [];
  text = "";
  ended = false;
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly #reading: Promise<void>;

  constructor(stream: ReadableStream<Uint8Array>) {
    this.#reader = stream.getReader();
    this.#reading = this.#read().catch(() => {}).finally(() => this.ended = true);
  }

  async #read(): Promise<void> {
    const decoder = new TextDecoder();
    let rest = "";
    for (let next = await this.#reader.read(); !next.done; next = await this.#reader.read()) {
      const text = decoder.decode(next.value, { stream: true });
      this.text += text;
      const blocks = (rest + text).split("\n\n");
      rest = blocks.pop() ?? "";
      for (const block of blocks) {
        const [, name, data] = /^event: (\w+)\ndata: (.*)$/.exec(block) ?? [];
        if (name !== undefined && data !== undefined) this.events.push({ name, data: JSON.parse(data) });
      }
    }
  }

  named(name: string): LiveEvent[] {
    return this.events.filter((event) => event.name === name);
  }

  /** Waits for a number of events of this name, those before the call included. */
  async until(name: string, count = 1): Promise<LiveEvent[]> {
    return await eventually(`${count} events ${name}`, () => {
      const found = this.named(name);
      return found.length >= count && found;
    }, { seen: () => this.text.slice(-500) });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#reader.cancel().catch(() => {});
    await this.#reading;
  }
}
