/** The elements that say whether the page is current: the connection, and the state of the pipeline. */
import { formatDuration } from "../view/words.ts";
import { formatClock } from "./local_time.ts";
import type { StreamState } from "./stream.ts";

const STALE_AFTER_MS = 3_000;

export class Connection {
  #stream: StreamState = { kind: "connecting" };
  #trouble: string | undefined;
  #tickAt: number | undefined;
  readonly #loadedAt = Date.now();
  #isCurrent = true;
  /** What the server said of the pipeline before the page was cut off. */
  #stateBefore: Element | undefined;
  readonly #status = document.createElement("span");
  /** Apart from the status and silent, because screen readers would read its seconds without end. */
  readonly #age = document.createElement("span");
  readonly #again = Object.assign(document.createElement("a"), {
    href: "",
    textContent: "Load this page again.",
  });

  constructor(private readonly element: HTMLElement) {
    this.#status.role = "status";
    this.#age.ariaLive = "off";
    element.replaceChildren(this.#status, this.#age, this.#again);
    this.refresh();
  }

  tick(): void {
    this.#tickAt = Date.now();
    this.#trouble = undefined;
    this.refresh();
  }

  /** @param text why the server has no current data */
  trouble(text: string): void {
    this.#trouble = text;
    this.refresh();
  }

  set stream(state: StreamState) {
    this.#stream = state;
    this.refresh();
  }

  /** False if the data on the page are of the past. */
  get isCurrent(): boolean {
    return this.#isCurrent;
  }

  /** Once a second. */
  refresh(): void {
    const [state, text, note = ""] = this.#words();
    this.#isCurrent = state !== "stale" && state !== "disconnected";
    this.#markState();
    this.element.dataset.state = state;
    // Only a change, because the status is read aloud.
    if (this.#status.textContent !== text) this.#status.textContent = text;
    this.#age.textContent = note;
    this.#again.hidden = this.#stream.kind !== "refused";
  }

  /** A state of the past must not look like the present one. */
  #markState(): void {
    const state = document.getElementById("state");
    // New HTML from the server has no mark.
    const isMarked = state?.dataset.past !== undefined;
    if (state === null || isMarked !== this.#isCurrent) return;
    if (isMarked) return state.replaceWith(this.#stateBefore ?? "");
    this.#stateBefore = state.cloneNode(true) as Element;
    const [then = ""] = state.querySelector(".flag")?.lastChild?.textContent?.trim().split(/[:.]/) ?? [];
    const since = formatClock(this.#tickAt ?? this.#loadedAt);
    const text = Object.assign(document.createElement("p"), { className: "flag trouble", role: "status" });
    text.textContent = `✕ State unknown since ${since}; then: ${then.charAt(0).toLowerCase()}${
      then.slice(1)
    }`;
    Object.assign(state, { className: "state trouble", hidden: false });
    state.dataset.past = "";
    state.replaceChildren(text);
  }

  #words(): readonly [state: string, text: string, note?: string] {
    const stream = this.#stream;
    const ageMs = this.#tickAt === undefined ? undefined : Date.now() - this.#tickAt;
    const age = ageMs === undefined ? "" : `, last update ${formatDuration(ageMs)} ago`;
    if (stream.kind === "refused") {
      return ["disconnected", `The session has ended. ${stream.why.trim()} `];
    }
    if (stream.kind === "lost") {
      const seconds = Math.max(0, Math.ceil((stream.retryAt - Date.now()) / 1_000));
      return ["disconnected", stream.why.trim() || "disconnected", `, trying again in ${seconds} s${age}`];
    }
    if (this.#trouble !== undefined) return ["stale", this.#trouble, age];
    if (ageMs === undefined || stream.kind === "connecting" && ageMs < STALE_AFTER_MS) {
      return ["connecting", "connecting"];
    }
    if (ageMs >= STALE_AFTER_MS) return ["stale", "no update", age];
    return document.querySelector("#state[data-late]") === null ? ["live", "live"] : ["late", "not current"];
  }
}
