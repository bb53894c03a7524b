/** Folder `client`: the browser's part of the monitor page, which `deno task assets` bundles. This file: the chart of a customer. */
import uPlot from "uplot";
import type { BpmLimits, Range, Reading, Series } from "../view/view.ts";
import { drawMarks } from "./chart_marks.ts";
import { chartOptions, readStyle } from "./chart_style.ts";
import { type Point, silencesOf, summarize, toPoints, withSilences, withTail } from "./curve.ts";
import { bindGestures } from "./gestures.ts";
import { clampRange } from "./range.ts";
import { showInRangeForm } from "./range_form.ts";
import { now, rangeSearch } from "./times.ts";

/** A new stream begins with the readings that a page can have missed in this time. */
const MISSED_MS = 60_000;
/** The data are loaded again after this time, because the rollup can still change its minutes. */
const RELOAD_MS = 300_000;
const RETRY_MS = 5_000;
/** The answer for a fixed range is loaded again after this time, if the range can still get readings. */
const ANSWER_MS = 15_000;
/** After this time without another change of the range, its data are loaded. */
const SETTLE_MS = 300;
const HELP =
  "▼ low, ▲ high, ✕ rejected record. Zoom: drag, pinch, + and − or Ctrl and the wheel. Move: ← and →. Whole range: 0.";

/** The columns of a `readings` event. */
export interface Readings {
  readonly ts: readonly number[];
  readonly bpm: readonly number[];
  readonly anomaly: readonly Reading["anomaly"][];
}

interface Loaded {
  readonly kind: Series["kind"];
  readonly truncated: boolean;
  readonly points: readonly Point[];
  readonly range: Range;
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
  #zoomed: Range | undefined;
  #loaded: Loaded | undefined;
  #points: readonly Point[] = [];
  #silences: readonly Range[] = [];
  #plot: uPlot | undefined;
  #loadedAt = 0;
  #answeredAt = Date.now();
  #hasFailed = false;
  #heardAt = Date.now();
  #request = new AbortController();
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** @param loadPage shows a part of the page for another range, or again */
  constructor(
    private readonly root: HTMLElement,
    private readonly loadPage: (search: string, part: string) => void,
  ) {
    const { from, to, limits = "" } = root.dataset;
    this.#limits = JSON.parse(limits);
    this.#home = { from: Number(from), to: Number(to) };
    this.#layOut();
    bindGestures(root, this.#area, { range: () => this.#range, show: (range) => this.#show(range) });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
      this.#plot?.destroy();
      this.#plot = undefined;
      this.#draw();
    });
    new ResizeObserver(() => this.#plot?.setSize(this.#area.getBoundingClientRect())).observe(this.#area);
    void this.#load();
  }

  /** The range that the page follows now, which the parts around the chart must have, too. */
  get view(): string | undefined {
    return this.#zoomed === undefined ? this.root.dataset.liveTail : undefined;
  }

  get #range(): Range {
    if (this.view === undefined) return this.#zoomed ?? this.#home;
    const to = now();
    return { from: to - this.#home.to + this.#home.from, to };
  }

  add({ ts, bpm, anomaly }: Readings): void {
    for (const [row, at] of ts.entries()) {
      this.#tail.set(at, { ts: at, bpm: bpm[row] ?? 0, anomaly: anomaly[row] ?? null });
    }
  }

  /** Once a second while the stream is alive. Without it, a window that moves would show a silence. */
  tick(): void {
    const hasMissed = Date.now() - this.#heardAt > MISSED_MS;
    this.#heardAt = Date.now();
    const isOld = Date.now() - this.#loadedAt > (this.#hasFailed ? RETRY_MS : RELOAD_MS);
    if (hasMissed || isOld) void this.#load();
    else if (this.view !== undefined) this.#draw();
    if (this.view !== undefined) return showInRangeForm(this.#range);
    // The stream has the answer only for the ranges that end now.
    const isRecent = this.#range.to > now() - RELOAD_MS;
    if (isRecent && Date.now() - this.#answeredAt > ANSWER_MS) {
      this.#answeredAt = Date.now();
      this.loadPage(location.search, "#episodes");
    }
  }

  #layOut(): void {
    const help = element("div", { className: "note chart-help", id: "chart-help" });
    this.#reset.addEventListener("click", () => this.#show(undefined));
    help.append(HELP, this.#reset);
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
    this.#zoomed = range && clampRange(range, Math.max(this.#home.to, now()));
    this.#reset.hidden = range === undefined;
    this.#draw();
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      const search = this.#zoomed ? rangeSearch(this.#homeSearch, this.#zoomed) : this.#homeSearch;
      history.replaceState(null, "", search);
      this.#answeredAt = Date.now();
      this.loadPage(search, "main");
      void this.#load();
    }, SETTLE_MS);
  }

  async #load(): Promise<void> {
    this.#request.abort();
    const { signal } = this.#request = new AbortController();
    this.#loadedAt = Date.now();
    for (const ts of this.#tail.keys()) if (ts < now() - RELOAD_MS) this.#tail.delete(ts);
    if (this.#loaded === undefined) this.#say("Loading the readings.");
    try {
      const range = this.#range;
      const query = rangeSearch(`?${new URLSearchParams({ id: this.root.dataset.id ?? "" })}`, range);
      const response = await fetch(`/customer/data${query}`, { signal });
      if (!response.ok) throw new Error(await response.text());
      this.#hasFailed = false;
      const series: Series = await response.json();
      const { kind, truncated } = series;
      this.#loaded = { kind, truncated, points: toPoints(series), range };
      this.#draw();
    } catch (error) {
      if (signal.aborted) return;
      this.#hasFailed = true;
      const why = error instanceof Error ? error.message : "";
      this.#say(`The readings cannot be loaded, trying again. ${why}`);
    }
  }

  #say(text: string): void {
    // Only a change, because the message is read aloud.
    if (this.#message.textContent !== text) this.#message.textContent = text;
  }

  #draw(): void {
    const range = this.#range;
    // For scripts that read what is shown.
    Object.assign(this.root.dataset, range);
    if (this.#loaded === undefined) return;
    const { kind, truncated, points, range: { from, to } } = this.#loaded;
    const follows = this.view !== undefined;
    const all = follows ? withTail(points, [...this.#tail.values()], kind) : points;
    // Neither the future nor what may wait in Kafka is a silence.
    const late = document.querySelector<HTMLElement>("#state[data-late]")?.dataset.late ?? Infinity;
    const known = { from, to: Math.min(follows ? range.to : to, now(), Number(late)) };
    this.#points = withSilences(all, kind, known);
    this.#silences = silencesOf(this.#points, known);
    const column = (name: "mean" | "lowest" | "highest") => this.#points.map((point) => point[name]);
    // The mean is the last, so that it lies above the band.
    const columns = kind === "raw" ? [column("mean")] : [column("lowest"), column("highest"), column("mean")];
    const data: uPlot.AlignedData = [this.#points.map(({ ts }) => ts), ...columns];
    if (this.#plot?.series.length !== data.length) {
      this.#plot?.destroy();
      this.#plot = this.#create(kind);
    }
    this.#plot.setData(data, false);
    this.#plot.setScale("x", { min: range.from, max: range.to });
    const summary = summarize(this.#points, kind, range);
    this.#summary.textContent = summary;
    const isCut = "This range has more readings than can be drawn. Its end is missing.";
    if (!this.#hasFailed) this.#say(summary.startsWith("No ") ? summary : truncated ? isCut : "");
  }

  #create(kind: Series["kind"]): uPlot {
    const zoom = (plot: uPlot) => {
      const { left, width } = plot.select;
      if (width > 0) this.#show({ from: plot.posToVal(left, "x"), to: plot.posToVal(left + width, "x") });
      plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
    };
    const style = readStyle(this.root);
    const drawOver = (plot: uPlot) => {
      const times = [...document.querySelectorAll<HTMLTimeElement>("#rejects time")];
      const rejects = times.map(({ dateTime }) => Date.parse(dateTime));
      const marks = { points: this.#points, silences: this.#silences, limits: this.#limits, rejects };
      drawMarks(plot, marks, style);
    };
    const { width, height } = this.#area.getBoundingClientRect();
    const look = chartOptions({ kind, limits: this.#limits, range: () => this.#range, style });
    const cursor: uPlot.Cursor = { drag: { x: true, y: false, setScale: false, dist: 5 } };
    const hooks = { setSelect: [zoom], draw: [drawOver] };
    return new uPlot({ width, height, ...look, cursor, hooks }, undefined, this.#area);
  }
}
