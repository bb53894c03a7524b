/** Where the status goes: redrawn in place on a terminal, a line every few seconds elsewhere. */
import process from "node:process";
import { createLogUpdate } from "log-update";
import { type Notice, printable, renderLine, renderScreen } from "./screen.ts";
import type { Status } from "./status.ts";

const LINE_EVERY_MS = 5_000;
const KEPT_NOTICES = 20;
/** Warnings between two plain lines; the rest is in the worker's log. */
const PRINTED_WARNINGS = 5;

export interface Display extends Disposable {
  /** Something to know: on a terminal among the warnings, elsewhere a line on standard error. */
  readonly notice: (notice: Omit<Notice, "at">) => void;
  /** To be called about once a second; prints no oftener than is good to read. */
  readonly show: (status: Status) => void;
}

export interface DisplayOptions {
  readonly colour: boolean;
  readonly footer: readonly string[];
}

export function openDisplay(options: DisplayOptions): Display {
  // A terminal of no size is one that nobody looks at.
  const size = () => Deno.stdout.isTerminal() ? Deno.consoleSize() : { columns: 0, rows: 0 };
  return size().rows > 0 ? liveDisplay(options, size) : plainDisplay(options);
}

function liveDisplay(
  { colour, footer }: DisplayOptions,
  size: () => { columns: number; rows: number },
): Display {
  const draw = createLogUpdate(process.stdout);
  const startedAt = performance.now();
  const notices: Notice[] = [];
  return {
    notice: (notice) => {
      notices.push({ ...notice, at: new Date() });
      if (notices.length > KEPT_NOTICES) notices.shift();
    },
    show: (status) => {
      const { columns, rows } = size();
      const runningSeconds = (performance.now() - startedAt) / 1000;
      const screen = { width: columns, height: rows, colour, runningSeconds, notices, footer };
      draw(renderScreen(status, screen).join("\n"));
    },
    // Leaves the last picture, and gives the cursor back.
    [Symbol.dispose]: () => draw.done(),
  };
}

function plainDisplay({ footer }: DisplayOptions): Display {
  let warnings = 0;
  let printedAt = performance.now();
  for (const line of footer) print(Deno.stderr, line);
  return {
    notice: ({ level, from, text }) => {
      if (level === "warning" && ++warnings > PRINTED_WARNINGS) return;
      print(Deno.stderr, printable(`${level === "info" ? "" : `${level}: `}${from}: ${text}`));
    },
    show: (status) => {
      if (performance.now() - printedAt < LINE_EVERY_MS) return;
      printedAt = performance.now();
      if (warnings > PRINTED_WARNINGS) {
        print(Deno.stderr, `... and ${warnings - PRINTED_WARNINGS} more warnings in the log`);
      }
      warnings = 0;
      print(Deno.stdout, renderLine(status));
    },
    [Symbol.dispose]: () => {},
  };
}

function print(to: { writeSync(bytes: Uint8Array): number }, line: string): void {
  to.writeSync(new TextEncoder().encode(`${line}\n`));
}
