import { sayProgress } from "../output.ts";
import type { Display } from "./display.ts";
import type { Notice } from "./screen.ts";
import type { LogLine } from "./worker_log.ts";

/** Passes events to the display. Until the display is open, it prints them. */
export class Notices {
  #display: Display | undefined;

  showOn(display: Display): void {
    this.#display = display;
  }

  readonly add = (level: Notice["level"], from: string, text: string): void => {
    if (this.#display === undefined) sayProgress(`${from}: ${text}`);
    else this.#display.notice({ level, from, text });
  };

  readonly onLine = ({ level, service, event, message, fields }: LogLine): void => {
    if (event === "monitor.address") this.#display?.open(String(fields["url"]));
    if (level === "warning" || level === "error") this.add(level, service, message);
  };
}
