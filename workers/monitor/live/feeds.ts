import type { MonitorTelemetry } from "../telemetry/telemetry.ts";
import { Feed, type Source } from "./feed.ts";

const MAX_VIEWERS = 512;
/** The feed of each customer costs queries of its own. */
const MAX_CUSTOMERS = 64;

const NEXT = "Close other pages of the monitor.";

/** The feeds that have viewers. */
export class Feeds implements AsyncDisposable {
  readonly #open = new Map<string, { readonly feed: Feed; readonly ended: Promise<void> }>();
  readonly #stop = new AbortController();

  constructor(private readonly telemetry: MonitorTelemetry) {}

  /** @returns an event stream, or sentences that say why there is none and what to do */
  listen(source: Source): ReadableStream<Uint8Array> | string {
    const key = `${source.name} ${source.customerId ?? ""}`;
    const known = this.#open.get(key);
    const viewers = [...this.#open.values()].reduce((sum, { feed }) => sum + feed.viewers, 0);
    if (this.#stop.signal.aborted) return "The monitor is stopping.";
    if (viewers >= MAX_VIEWERS) return `${MAX_VIEWERS} pages are open already. ${NEXT}`;
    if (known !== undefined) return known.feed.join(source.preset);
    const customers = [...this.#open.keys()].filter((open) => open.startsWith("customer ")).length;
    if (source.name === "customer" && customers >= MAX_CUSTOMERS) {
      return `${MAX_CUSTOMERS} different customers are watched already. ${NEXT}`;
    }
    const feed = new Feed(source, this.telemetry);
    const stream = feed.join(source.preset);
    this.#open.set(key, { feed, ended: this.#run(key, feed) });
    return stream;
  }

  async #run(key: string, feed: Feed): Promise<void> {
    while (feed.viewers > 0 && !this.#stop.signal.aborted) await feed.round(this.#stop);
    // No await may stand between the check and this line: a viewer that joins in between would never get a poll.
    this.#open.delete(key);
    feed.end();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await Promise.all([...this.#open.values()].map(({ ended }) => ended));
  }
}
