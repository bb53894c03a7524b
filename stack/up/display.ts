/**
 * Folder `up`: the program of `deno task up`. It runs the whole pipeline on this machine and shows its status. It stores
 * and checks no data.
 *
 * The display redraws the status in place on a terminal. Elsewhere it prints a line every few seconds.
 */
import { Writable } from "node:stream";
import { createLogUpdate } from "log-update";
import { sleep } from "../../workers/_shared/backoff.ts";
import { sayProgress, sayResult } from "../output.ts";
import { type Notice, printable, renderLine, renderScreen } from "./screen.ts";
import type { Status, StatusSource } from "./status.ts";

const GATHER_EVERY_MS = 1_000;
const LINE_EVERY_MS = 5_000;
const KEPT_NOTICES = 20;
/** Maximum of the workers' warnings between two printed status lines. The workers' logs contain all warnings. */
const PRINTED_WARNINGS = 5;

export interface Display extends Disposable {
  /** Shows an event. On a terminal it is in the list of events, otherwise it is a line on standard error. */
  readonly notice: (notice: Omit<Notice, "at">) => void;
  /** Shows the address of the monitor page in place of its last one. */
  readonly open: (url: string) => void;
  /** Call it about once a second. Without a terminal, it prints less often. */
  readonly show: (status: Status) => void;
}

export interface DisplayOptions {
  readonly colour: boolean;
  readonly footer: readonly string[];
}

const NO_SIZE = { columns: 0, rows: 0 };

export function openDisplay(options: DisplayOptions): Display {
  // A terminal without a size has no viewer.
  const size = () => {
    try {
      return Deno.stdout.isTerminal() ? Deno.consoleSize() : NO_SIZE;
    } catch {
      return NO_SIZE;
    }
  };
  return size().rows > 0 ? liveDisplay(options, size) : plainDisplay(options);
}

export async function showStatus(
  source: StatusSource,
  display: Display,
  { signal, onFirstStored }: { signal: AbortSignal; onFirstStored: () => void },
): Promise<void> {
  let storing = false;
  while (!signal.aborted) {
    const status = await source.gather();
    if (!storing && status.storedRun > 0) {
      storing = true;
      onFirstStored();
    }
    display.show(status);
    await sleep(GATHER_EVERY_MS, { signal });
  }
}

function liveDisplay(
  { colour, footer }: DisplayOptions,
  size: () => { columns: number; rows: number },
): Display {
  // The cursor stays visible. To hide it, log-update would install handlers for signals and exits, which would disturb
  // the handlers of this program.
  const draw = createLogUpdate(terminal(size), { showCursor: true });
  const startedAt = performance.now();
  const notices: Notice[] = [];
  let page: string[] = [];
  return {
    notice: (notice) => {
      notices.push({ ...notice, at: new Date() });
      if (notices.length > KEPT_NOTICES) notices.shift();
    },
    open: (url) => void (page = [`Open ${url}`]),
    show: (status) => {
      const { columns, rows } = size();
      if (rows === 0) return;
      const runningSeconds = (performance.now() - startedAt) / 1000;
      const screen = { width: columns, height: rows, colour, runningSeconds, notices };
      draw(renderScreen(status, { ...screen, footer: [...page, ...footer] }).join("\n"));
    },
    // After this, the last status stays on the screen.
    [Symbol.dispose]: () => draw.done(),
  };
}

/**
 * Standard output as a stream for log-update. With `process.stdout`, a closed terminal would cause an error without a
 * listener. That error would end the process before SIGHUP can stop everything in order.
 */
function terminal(size: () => { columns: number; rows: number }): NodeJS.WriteStream {
  const stream = new Writable({
    decodeStrings: false,
    write: (text, _encoding, done) => {
      try {
        const bytes = new TextEncoder().encode(String(text));
        for (let from = 0; from < bytes.length;) from += Deno.stdout.writeSync(bytes.subarray(from));
      } catch {
        // The terminal is closed.
      }
      done();
    },
  });
  Object.defineProperties(stream, {
    isTTY: { value: true },
    columns: { get: () => size().columns },
    rows: { get: () => size().rows },
  });
  return stream as unknown as NodeJS.WriteStream;
}

function plainDisplay({ footer }: DisplayOptions): Display {
  let warnings = 0;
  let printedAt = performance.now();
  for (const line of footer) sayProgress(line);
  return {
    notice: ({ level, from, text }) => {
      if (level === "warning" && from !== "up" && ++warnings > PRINTED_WARNINGS) return;
      sayProgress(printable(`${level === "info" ? "" : `${level}: `}${from}: ${text}`));
    },
    open: (url) => sayProgress(`Open ${url}`),
    show: (status) => {
      if (performance.now() - printedAt < LINE_EVERY_MS) return;
      printedAt = performance.now();
      if (warnings > PRINTED_WARNINGS) {
        sayProgress(`... and ${warnings - PRINTED_WARNINGS} more warnings in the log`);
      }
      warnings = 0;
      sayResult(renderLine(status));
    },
    [Symbol.dispose]: () => {},
  };
}
