/** Folder `live`: the event streams. All viewers of a feed share its queries and its bytes. */
import { sleep } from "../../_shared/backoff.ts";
import { PipelineError } from "../../_shared/errors.ts";
import type { MonitorTelemetry } from "../telemetry/telemetry.ts";
import type { Preset, Reading } from "../view/view.ts";
import { Viewer } from "./viewer.ts";

interface Snapshot {
  readonly at: number;
  /** The HTML of whole elements, by their ids. If it depends on the preset range, its name is `id@preset`. */
  readonly fragments: Readonly<Record<string, string>>;
  /** The readings of the last minute. Later pages get all of them, open ones those that the snapshot before did not have. */
  readonly readings?: readonly Reading[];
  /** All records that were ever rejected. A page shows how many are new, and its list stays where the viewer reads. */
  readonly rejected?: number;
}

/** What a feed asks the database. */
export interface Source {
  /** The label of metrics. It never has a customer's id. */
  readonly name: "now" | "customer" | "rejects" | "ledger";
  /** Each customer has a feed. */
  readonly customerId?: string;
  /** The range of the page that opens the feed. */
  readonly preset?: Preset;
  /** Rejects with an error whose message is a sentence for the viewers. @param presets of all pages that opened the feed */
  readonly poll: (presets: ReadonlySet<Preset>) => Promise<Snapshot>;
}

const encoder = new TextEncoder();
const MIN_PAUSE_MS = 500;
const MAX_PAUSE_MS = 5_000;
const TICK_MS = 1_000;

/** A comment. It makes the server send the headers before the first poll has ended. */
const BEGIN = ": begin\n\n";
const BUG = "The monitor has a bug. Its log has the details.";

/** An event stream that several viewers share. It polls while it has viewers, and sends each change to all of them. */
export class Feed {
  readonly #viewers = new Set<Viewer>();
  readonly #presets = new Set<Preset>();
  #latest: Snapshot | undefined;
  #trouble: string | undefined;

  constructor(
    private readonly source: Pick<Source, "name" | "poll">,
    private readonly telemetry: MonitorTelemetry,
  ) {}

  join(preset: Preset | undefined): ReadableStream<Uint8Array> {
    if (preset !== undefined) this.#presets.add(preset);
    const viewer = new Viewer((left, why) => {
      this.#viewers.delete(left);
      this.telemetry.viewerLeft(this.source.name, why);
    });
    this.#viewers.add(viewer);
    this.telemetry.viewerJoined(this.source.name);
    viewer.send(encoder.encode(BEGIN + this.#eventsSince(undefined)));
    return viewer.stream;
  }

  get viewers(): number {
    return this.#viewers.size;
  }

  /** Polls once and pauses as long as the poll took, but at least 0.5 s and at most 5 s. */
  async round({ signal }: { signal: AbortSignal }): Promise<void> {
    const began = performance.now();
    const before = this.#latest;
    await this.#poll();
    this.#send(this.#eventsSince(before));
    const tookMs = performance.now() - began;
    const pauseMs = Math.min(MAX_PAUSE_MS, Math.max(MIN_PAUSE_MS, tookMs));
    for (let leftMs = pauseMs; leftMs > 0 && !signal.aborted; leftMs -= TICK_MS) {
      await sleep(Math.min(leftMs, TICK_MS), { signal });
      if (leftMs > TICK_MS) this.#send(this.#eventsSince(this.#latest));
    }
  }

  end(): void {
    for (const viewer of this.#viewers) viewer.end();
  }

  async #poll(): Promise<void> {
    try {
      this.#latest = await this.source.poll(this.#presets);
      this.#trouble = undefined;
    } catch (error) {
      const text = error instanceof PipelineError ? error.message : BUG;
      if (text === BUG && this.#trouble !== BUG) this.telemetry.pageFailed(error);
      this.#trouble = text;
    }
  }

  /** What a page needs that shows the snapshot `before`. The last event says whether it is current then. */
  #eventsSince(before: Snapshot | undefined): string {
    const changed = this.#latest === undefined ? "" : changes(this.#latest, before);
    if (this.#trouble !== undefined) return changed + event("trouble", { text: this.#trouble });
    if (this.#latest === undefined) return "";
    const { at, rejected } = this.#latest;
    return changed + event("tick", { at, rejected });
  }

  #send(events: string): void {
    const bytes = encoder.encode(events);
    for (const viewer of this.#viewers) viewer.send(bytes);
  }
}

/** An event in the format of server-sent events. JSON has no line breaks, so `data` is one line. */
function event(name: "fragment" | "readings" | "tick" | "trouble", data: unknown): string {
  return `event: ${name}\ndata: ${JSON.stringify(data)}\n\n`;
}

function changes({ fragments, readings = [] }: Snapshot, before: Snapshot | undefined): string {
  const events = Object.entries(fragments)
    .filter(([id, html]) => before?.fragments[id] !== html)
    .map(([id, html]) => event("fragment", { id, html }));
  const sent = new Set(before?.readings?.map(({ ts }) => ts));
  const unsent = readings.filter(({ ts }) => !sent.has(ts));
  const columns = {
    ts: unsent.map(({ ts }) => ts),
    bpm: unsent.map(({ bpm }) => bpm),
    anomaly: unsent.map(({ anomaly }) => anomaly),
  };
  return events.join("") + (unsent.length === 0 ? "" : event("readings", columns));
}
