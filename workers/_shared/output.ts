/**
 * Writes to standard output. If the reader has gone, as after `| head -1`, the rest is dropped without an error.
 *
 * @returns false if the reader has gone
 */
export function writeOut(text: string): boolean {
  const bytes = new TextEncoder().encode(text);
  try {
    for (let from = 0; from < bytes.length;) from += Deno.stdout.writeSync(bytes.subarray(from));
    return true;
  } catch (error) {
    if (!(error instanceof Deno.errors.BrokenPipe)) throw error;
    return false;
  }
}

/** Writes a line to standard error. A failure is ignored, because there is nowhere left to report it. */
export function writeError(text: string): void {
  try {
    Deno.stderr.writeSync(new TextEncoder().encode(`${text}\n`));
  } catch {
    // The terminal, the pipe or the disk has gone.
  }
}

/** Control characters, line separators, invisible or bidirectional format characters, unpaired surrogates. */
const UNSAFE = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu;

/** Escapes characters that could forge a line, move the cursor or mislead a reader. With \uXXXX, JSON keeps its meaning. */
export function printable(text: string): string {
  const escape = (unit: string) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`;
  return text.replace(UNSAFE, (char) => char.split("").map(escape).join(""));
}

export function printableLines(text: string): string {
  return text.split("\n").map(printable).join("\n");
}
