/** Text that came from outside, made fit for a terminal and for a line of a log. */

/**
 * Control characters, also the 8-bit ones that some terminals obey, line and paragraph separators, formatting characters
 * (those that turn the direction of what follows, and invisible ones), and halves of characters.
 */
const UNFIT = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu;

/**
 * Writes what could forge a line, move the cursor or change what a reader sees as \uXXXX, as JSON does: a line of JSON
 * stays the same JSON.
 */
export function printable(text: string): string {
  return text.replace(UNFIT, (char) => {
    return char.split("").map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`).join("");
  });
}

/** The same for text whose line breaks are ours. */
export function printableLines(text: string): string {
  return text.split("\n").map(printable).join("\n");
}
