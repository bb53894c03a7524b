import { sleep } from "../../_shared/backoff.ts";
import { PipelineError } from "../../_shared/errors.ts";
import type { MonitorTelemetry } from "../telemetry/telemetry.ts";
import type { Preset, Reading } from "../view/view.ts";
import { BEGIN, encode, event } from "./event.ts";
import { Viewer } from "./viewer.ts";

export interface Snapshot {
  readonly at: number;
  /** The HTML of whole elements, by their ids. One for pages of a single view has the name `id@view`. */
  readonly fragments: Readonly<Record<string, string>>;
  /** Readings that no earlier snapshot had. The first one has those that a page may have missed since it was loaded. */
  readonly readings?: readonly Reading[];
  /** All records that were ever rejected. A page shows how many are new, and its list stays where the viewer reads. */
  readonly rejected?: number;
}

/** What a feed asks the database. */
export interface Source {
  /** The label of metrics. It never has a customer's id. */
  readonly name: "now" | "customer" | "rejects" | "ledger";
  /** Distinguishes feeds of one name. Empty for the feed without parameters. */
  readonly chosen: string;
  /** The range of the page that opens the feed, if it ends now. */
  readonly view?: Preset | undefined;
  /** Rejects with an error whose message is a sentence for the viewers. @param views of all pages that opened the feed */
  readonly poll: (views: ReadonlySet<Preset>) => Promise<Snapshot>;
}

const MIN_PAUSE_MS = 500;
const MAX_PAUSE_MS = 5_000;
/** The pause is at least four times as long as the poll, so that a feed never takes more than a fifth of a connection. */
const PAUSE_PER_POLL = 4;
const TICK_MS = 1_000;
/** A new viewer gets the latest readings, because its page may be older. */
const RECENT_READINGS = 300;

const BUG = "The monitor has a bug. Its log has the details.";

/** An event stream that several viewers share. It polls while it has viewers, and sends each change to all of them. */
export class Feed {
  readonly #viewers = new Set<Viewer>();
  readonly #views = new Set<Preset>();
  #latest: Snapshot | undefined;
  #recent: readonly Reading[] = [];
  #trouble: string | undefined;

  /** @param onLeave called after a viewer has gone */
  constructor(
    private readonly source: Pick<Source, "name" | "poll">,
    private readonly telemetry: MonitorTelemetry,
    private readonly onLeave: () => void,
  ) {}

  join(view: Preset | undefined): ReadableStream<Uint8Array> {
    if (view !== undefined) this.#views.add(view);
    const viewer = new Viewer((left, why) => {
      this.#viewers.delete(left);
      this.telemetry.viewerLeft(this.source.name, why);
      this.onLeave();
    });
    this.#viewers.add(viewer);
    this.telemetry.viewerJoined(this.source.name);
    viewer.send(encode([BEGIN, ...this.#welcome()]));
    return viewer.stream;
  }

  get isWatched(): boolean {
    return this.#viewers.size > 0;
  }

  /** Polls once and waits. The pause is not shorter for viewers that leave and come back at once. */
  async round({ signal }: { signal: AbortSignal }): Promise<void> {
    const began = performance.now();
    this.#send(await this.#next());
    const tookMs = performance.now() - began;
    const pauseMs = Math.min(MAX_PAUSE_MS, Math.max(MIN_PAUSE_MS, PAUSE_PER_POLL * tookMs));
    for (let leftMs = pauseMs; leftMs > 0 && !signal.aborted; leftMs -= TICK_MS) {
      await sleep(Math.min(leftMs, TICK_MS), { signal });
      if (leftMs > TICK_MS && this.#trouble === undefined) this.#send(this.#tick());
    }
  }

  end(): void {
    for (const viewer of this.#viewers) viewer.end();
  }

  async #next(): Promise<string[]> {
    try {
      const before = this.#latest?.fragments ?? {};
      this.#latest = await this.source.poll(this.#views);
      this.#trouble = undefined;
      const { fragments, readings = [] } = this.#latest;
      const changed = Object.entries(fragments).filter(([id, html]) => before[id] !== html);
      this.#recent = [...this.#recent, ...readings].slice(-RECENT_READINGS);
      return [...fragmentEvents(changed), ...readingEvents(readings), ...this.#tick()];
    } catch (error) {
      const text = error instanceof PipelineError ? error.message : BUG;
      if (text === BUG && this.#trouble !== BUG) this.telemetry.pageFailed(error);
      this.#trouble = text;
      return [event("trouble", { text: this.#trouble })];
    }
  }

  #welcome(): string[] {
    const fragments = fragmentEvents(Object.entries(this.#latest?.fragments ?? {}));
    const known = [...fragments, ...readingEvents(this.#recent)];
    return this.#trouble === undefined
      ? [...known, ...this.#tick()]
      : [...known, event("trouble", { text: this.#trouble })];
  }

  #tick(): string[] {
    if (this.#latest === undefined) return [];
    const { at, rejected } = this.#latest;
    return [event("tick", { at, rejected })];
  }

  #send(events: readonly string[]): void {
    if (events.length === 0) return;
    const bytes = encode(events);
    for (const viewer of this.#viewers) viewer.send(bytes);
  }
}

function fragmentEvents(fragments: readonly (readonly [id: string, html: string])[]): string[] {
  return fragments.map(([id, html]) => event("fragment", { id, html }));
}

function readingEvents(readings: readonly Reading[]): string[] {
  if (readings.length === 0) return [];
  const columns = {
    ts: readings.map(({ ts }) => ts),
    bpm: readings.map(({ bpm }) => bpm),
    anomaly: readings.map(({ anomaly }) => anomaly),
  };
  return [event("readings", columns)];
}
