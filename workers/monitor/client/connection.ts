/** The elements that say whether the page is current: the connection, and the state of the pipeline. */
import { formatDuration } from "../view/words.ts";
import { formatClock } from "./local_time.ts";
import type { StreamState } from "./stream.ts";

const STALE_AFTER_MS = 3_000;

export class Connection {
  #stream: StreamState | "connecting" = "connecting";
  #why = "";
  /** The page itself is the first update. */
  #updatedAt = Date.now();
  readonly #status = document.createElement("span");
  /** Apart from the status and silent, because screen readers would read its seconds without end. */
  readonly #age = document.createElement("span");
  readonly #again = Object.assign(document.createElement("a"), {
    href: "",
    textContent: "Load this page again.",
  });
  /** Stands in the place of the pipeline's state while that is unknown. */
  readonly #past = Object.assign(document.createElement("p"), {
    id: "past",
    className: "state trouble flag",
    role: "status",
  });

  constructor(private readonly element: HTMLElement) {
    this.#status.role = "status";
    this.#age.ariaLive = "off";
    element.replaceChildren(this.#status, this.#age, this.#again);
    this.refresh();
  }

  /** The server has current data. */
  update(): void {
    this.#updatedAt = Date.now();
    this.show("open", "");
  }

  /** @param why the stream is not open, or the server has no current data */
  show(stream: StreamState, why: string): void {
    this.#stream = stream;
    this.#why = why.trim().replace(/\.$/, "");
    this.refresh();
  }

  /** False if the data on the page are of the past. */
  get isCurrent(): boolean {
    return !["stale", "disconnected"].includes(this.element.dataset.state ?? "");
  }

  /** Once a second. */
  refresh(): void {
    const [state, text, note = ""] = this.#words();
    this.element.dataset.state = state;
    // Only a change, because the status is read aloud.
    if (this.#status.textContent !== text) this.#status.textContent = text;
    this.#age.textContent = note;
    this.#again.hidden = this.#stream !== "refused";
    this.#markState();
  }

  /** A state of the past must not look like the present one. */
  #markState(): void {
    if (this.isCurrent) return this.#past.remove();
    const state = document.getElementById("state");
    if (state === null || this.#past.isConnected) return;
    const [lastKnown] = state.querySelector(".flag")?.lastChild?.textContent?.trim().split(/[:.]/) ?? [];
    state.before(this.#past);
    this.#past.textContent = `✕ Pipeline state unknown since ${
      formatClock(this.#updatedAt)
    }. Last known state: ${lastKnown}`;
  }

  #words(): readonly [state: string, text: string, note?: string] {
    const ageMs = Date.now() - this.#updatedAt;
    const age = `last update ${formatDuration(ageMs)} ago`;
    if (this.#stream === "refused") return ["disconnected", `The session has ended. ${this.#why}. `];
    if (this.#stream === "lost") {
      return ["disconnected", this.#why || "disconnected", `, trying again, ${age}`];
    }
    if (this.#why !== "") return ["stale", this.#why, `, ${age}`];
    if (ageMs >= STALE_AFTER_MS) return ["stale", "no update", `, ${age}`];
    if (this.#stream === "connecting") return ["connecting", "connecting"];
    return document.querySelector("#state[data-late]") === null ? ["live", "live"] : ["late", "not current"];
  }
}
