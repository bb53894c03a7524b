/** How a program writes to its standard streams, and how text from outside is made fit for a terminal and a line of a log. */

/** Writes to standard output. When its reader is gone, as after `| head -1`, the rest is dropped: the work was done. */
export function writeOut(text: string): void {
  const bytes = new TextEncoder().encode(text);
  try {
    for (let from = 0; from < bytes.length;) from += Deno.stdout.writeSync(bytes.subarray(from));
  } catch (error) {
    if (!(error instanceof Deno.errors.BrokenPipe)) throw error;
  }
}

/** Writes a line to standard error. Whatever keeps it from that is no reason to end: nothing else could hear of it. */
export function writeError(text: string): void {
  try {
    Deno.stderr.writeSync(new TextEncoder().encode(`${text}\n`));
  } catch {
    // The terminal, the pipe or the disk behind it is gone.
  }
}

/** Control characters, separators of lines, characters that are invisible or turn the direction of text, and halves. */
const UNFIT = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu;

/** Writes what could forge a line, move the cursor or mislead a reader as \uXXXX: a line of JSON stays the same JSON. */
export function printable(text: string): string {
  const escape = (unit: string) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`;
  return text.replace(UNFIT, (char) => char.split("").map(escape).join(""));
}

/** The same for text whose line breaks are ours. */
export function printableLines(text: string): string {
  return text.split("\n").map(printable).join("\n");
}
