import type { MonitorTelemetry } from "../telemetry/telemetry.ts";
import { Feed, type Source } from "./feed.ts";

const MAX_VIEWERS = 512;
/** Feeds of customers. Each costs queries of its own. */
const MAX_CHOSEN_FEEDS = 64;

/** The feeds that have viewers. */
export class Feeds implements AsyncDisposable {
  readonly #open = new Map<string, { readonly feed: Feed; readonly ended: Promise<void> }>();
  readonly #stop = new AbortController();
  #viewers = 0;

  constructor(private readonly telemetry: MonitorTelemetry) {}

  /** @returns an event stream, or a sentence that says why there is none */
  listen(source: Source): ReadableStream<Uint8Array> | string {
    const key = `${source.name}?${source.chosen}`;
    const chosen = [...this.#open.keys()].filter((open) => !open.endsWith("?")).length;
    if (this.#stop.signal.aborted) return "the monitor stops";
    if (this.#viewers >= MAX_VIEWERS) return `${MAX_VIEWERS} pages are open already`;
    if (source.chosen !== "" && !this.#open.has(key) && chosen >= MAX_CHOSEN_FEEDS) {
      return `${MAX_CHOSEN_FEEDS} different customers are watched already`;
    }
    this.#viewers++;
    const known = this.#open.get(key);
    if (known !== undefined) return known.feed.join(source.view);
    const feed = new Feed(source, this.telemetry, () => this.#viewers--);
    const stream = feed.join(source.view);
    this.#open.set(key, { feed, ended: this.#run(key, feed) });
    return stream;
  }

  async #run(key: string, feed: Feed): Promise<void> {
    while (feed.isWatched && !this.#stop.signal.aborted) await feed.round(this.#stop);
    // No await may stand between the check and this line: a viewer that joins in between would never get a poll.
    this.#open.delete(key);
    feed.end();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await Promise.all([...this.#open.values()].map(({ ended }) => ended));
  }
}
