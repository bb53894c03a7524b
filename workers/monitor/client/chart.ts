/** Folder `client`: the browser's part of the monitor page, which `deno task assets` bundles. This file: the chart of a customer. */
import uPlot from "uplot";
import type { BpmLimits, Range, Reading, Series } from "../view/view.ts";
import { drawMarks, readStyle } from "./chart_marks.ts";
import { chartOptions } from "./chart_options.ts";
import {
  longestInterval,
  type Point,
  silencesOf,
  summarize,
  toPoints,
  withSilences,
  withTail,
} from "./curve.ts";
import { bindKeys, bindPointers } from "./gestures.ts";
import { clampRange } from "./range.ts";
import { now, rangeSearch } from "./times.ts";

/** A new stream begins with the readings that a page can have missed in this time. */
const MISSED_MS = 60_000;
/** A window that moves is loaded again after this time, because the rollup can still change its minutes. */
const RELOAD_MS = 300_000;
const RETRY_MS = 5_000;
/** After this time without another change of the range, its data are loaded. */
const SETTLE_MS = 300;

/** The columns of a `readings` event. */
export interface Readings {
  readonly ts: readonly number[];
  readonly bpm: readonly number[];
  readonly anomaly: readonly Reading["anomaly"][];
}

function element<Tag extends keyof HTMLElementTagNameMap>(
  tag: Tag,
  properties: object,
): HTMLElementTagNameMap[Tag] {
  return Object.assign(document.createElement(tag), properties);
}

export class Chart {
  readonly #limits: BpmLimits;
  /** The page's own range, to which a reset returns. */
  readonly #home: Range;
  readonly #homeSearch = location.search;
  readonly #area = element("div", { className: "chart-area" });
  readonly #message = element("p", { className: "chart-message", role: "status" });
  readonly #summary = element("div", { className: "visually-hidden", id: "chart-summary" });
  readonly #reset = element("button", { type: "button", textContent: "Whole range", hidden: true });
  readonly #tail = new Map<number, Reading>();
  #range: Range;
  /** Whether the window moves with the present. */
  #follows: boolean;
  #series: Series | undefined;
  #loaded: readonly Point[] = [];
  #loadedRange: Range;
  #longestMs = 0;
  #points: readonly Point[] = [];
  #plot: uPlot | undefined;
  #style;
  #loadedAt = 0;
  #hasFailed = false;
  #heardAt = Date.now();
  #request = new AbortController();
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** @param onRange shows the rest of the page for another range */
  constructor(private readonly root: HTMLElement, private readonly onRange: (search: string) => void) {
    const { from, to, limits = "", liveTail } = root.dataset;
    this.#limits = JSON.parse(limits);
    this.#home = this.#range = this.#loadedRange = { from: Number(from), to: Number(to) };
    this.#follows = liveTail !== undefined;
    this.#layOut();
    this.#style = readStyle(root);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
      this.#style = readStyle(root);
      this.#plot?.redraw(false, true);
    });
    bindKeys(root, this.#view);
    new ResizeObserver(() => this.#plot?.setSize(this.#area.getBoundingClientRect())).observe(this.#area);
    void this.#load();
  }

  /** The range that the page follows now, which the parts around the chart must have, too. */
  get view(): string | undefined {
    return this.#follows ? this.root.dataset.liveTail : undefined;
  }

  /** With each sign that the stream is alive. */
  resume(): void {
    const hasMissed = Date.now() - this.#heardAt > MISSED_MS;
    this.#heardAt = Date.now();
    if (hasMissed || this.#hasFailed && Date.now() - this.#loadedAt > RETRY_MS) void this.#load();
  }

  add({ ts, bpm, anomaly }: Readings): void {
    for (const [row, at] of ts.entries()) {
      this.#tail.set(at, { ts: at, bpm: bpm[row] ?? 0, anomaly: anomaly[row] ?? null });
    }
    if (this.#follows) this.#move();
  }

  /** Once a second: moves the window. */
  tick(): void {
    if (!this.#follows) return;
    if (Date.now() - this.#loadedAt > RELOAD_MS) void this.#load();
    const pixelMs = (this.#home.to - this.#home.from) / this.#area.clientWidth;
    if (now() - this.#range.to > pixelMs) this.#move();
  }

  #move(): void {
    const to = now();
    this.#range = { from: to - this.#home.to + this.#home.from, to };
    this.#draw();
  }

  readonly #view = {
    range: () => this.#range,
    show: (range: Range) => this.#show(clampRange(range, Math.max(this.#home.to, now()))),
    reset: () => this.#show(undefined),
  };

  #layOut(): void {
    const help = element("div", { className: "note chart-help", id: "chart-help" });
    this.#reset.addEventListener("click", this.#view.reset);
    help.append(
      "▼ low, ▲ high, ✕ rejected record. Zoom: drag, pinch, + and − or Ctrl and the wheel. Move: ← and →. Whole range: 0.",
      this.#reset,
    );
    this.#area.append(this.#message);
    this.root.replaceChildren(this.#area, help, this.#summary);
    Object.assign(this.root, {
      tabIndex: 0,
      role: "application",
      ariaLabel: `Heart rate of ${this.root.dataset.id}`,
    });
    this.root.setAttribute("aria-describedby", "chart-summary chart-help");
  }

  /** @param range undefined: the page's own */
  #show(range: Range | undefined): void {
    this.#range = range ?? this.#home;
    this.#follows = range === undefined && this.root.dataset.liveTail !== undefined;
    this.#reset.hidden = range === undefined;
    if (this.#follows) this.#move();
    else this.#draw();
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      const search = range === undefined ? this.#homeSearch : rangeSearch(this.#homeSearch, range);
      history.replaceState(null, "", search);
      this.onRange(search);
      void this.#load();
    }, SETTLE_MS);
  }

  async #load(): Promise<void> {
    this.#request.abort();
    const { signal } = this.#request = new AbortController();
    this.#loadedAt = Date.now();
    for (const ts of this.#tail.keys()) if (ts < now() - RELOAD_MS) this.#tail.delete(ts);
    if (this.#series === undefined) this.#say("Loading the readings.");
    try {
      const range = this.#range;
      const query = rangeSearch(`?${new URLSearchParams({ id: this.root.dataset.id ?? "" })}`, range);
      const response = await fetch(`/customer/data${query}`, { signal });
      if (!response.ok) throw new Error(await response.text());
      this.#hasFailed = false;
      const series: Series = this.#series = await response.json();
      this.#loaded = toPoints(series, this.#limits);
      this.#loadedRange = range;
      this.#longestMs = longestInterval(this.#loaded, series.kind);
      this.#draw();
    } catch (error) {
      if (signal.aborted) return;
      this.#hasFailed = true;
      const retry = element("button", { type: "button", textContent: "Try again" });
      retry.addEventListener("click", () => void this.#load());
      this.#say(`The readings cannot be loaded. ${error instanceof Error ? error.message : ""} `, retry);
    }
  }

  #say(text: string, ...more: Node[]): void {
    // Only a change, because the message is read aloud.
    if (this.#message.firstChild?.textContent !== text) this.#message.replaceChildren(text, ...more);
  }

  #draw(): void {
    // For scripts that read what is shown.
    Object.assign(this.root.dataset, this.#range);
    if (this.#series === undefined) return;
    const { kind, truncated } = this.#series;
    const points = this.#follows ? withTail(this.#loaded, [...this.#tail.values()], kind) : this.#loaded;
    this.#points = withSilences(points, this.#longestMs, this.#past);
    const column = (name: "mean" | "lowest" | "highest") => this.#points.map((point) => point[name]);
    // The mean is the last, so that it lies above the band.
    const columns = kind === "raw" ? [column("mean")] : [column("lowest"), column("highest"), column("mean")];
    const data: uPlot.AlignedData = [this.#points.map(({ ts }) => ts), ...columns];
    if (this.#plot?.series.length !== data.length) {
      this.#plot?.destroy();
      this.#plot = this.#create(kind);
      bindPointers(this.root, this.#plot.over, this.#view);
    }
    this.#plot.setData(data, false);
    this.#plot.setScale("x", { min: this.#range.from, max: this.#range.to });
    const summary = summarize(this.#points, this.#range);
    this.#summary.textContent = summary;
    const isCut = "This range has more readings than can be drawn. Its end is missing.";
    this.#say(summary.startsWith("No ") ? summary : truncated ? isCut : "");
  }

  /** The part of the loaded range that is not in the future. */
  get #past(): Range {
    const { from, to } = this.#loadedRange;
    return { from, to: this.#follows ? now() : Math.min(to, now()) };
  }

  #create(kind: Series["kind"]): uPlot {
    const zoom = (plot: uPlot) => {
      const { left, width } = plot.select;
      if (width > 0) {
        this.#view.show({ from: plot.posToVal(left, "x"), to: plot.posToVal(left + width, "x") });
      }
      plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
    };
    const drawOver = (plot: uPlot) => {
      const times = [...document.querySelectorAll<HTMLTimeElement>("#rejects time")];
      const rejects = times.map(({ dateTime }) => Date.parse(dateTime));
      const silences = silencesOf(this.#points, this.#past);
      drawMarks(plot, { points: this.#points, silences, limits: this.#limits, rejects, style: this.#style });
    };
    const { width, height } = this.#area.getBoundingClientRect();
    const look = { kind, limits: this.#limits, range: this.#view.range, style: () => this.#style };
    const cursor: uPlot.Cursor = {
      drag: { x: true, y: false, setScale: false, dist: 5 },
      bind: { dblclick: () => () => (this.#view.reset(), null) },
    };
    const hooks = { setSelect: [zoom], draw: [drawOver] };
    return new uPlot({ width, height, ...chartOptions(look), cursor, hooks }, undefined, this.#area);
  }
}
