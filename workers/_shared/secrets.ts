/** The secrets of a process, which appear in nothing that it says, whatever error carries them. */
import { Buffer } from "node:buffer";

/** From here on no secret is a word of ours, so it is hidden inside longer words too. */
const UNLIKELY_WORD = 12;

export class Secrets {
  readonly #patterns: RegExp[] = [];

  /** Empty texts are no secrets. */
  hide(secrets: readonly string[]): void {
    for (const secret of new Set(secrets)) if (secret !== "") this.#patterns.push(asPattern(secret));
  }

  redact(text: string): string {
    return this.#patterns.reduce((line, pattern) => line.replace(pattern, "***"), text);
  }
}

/**
 * Finds a secret as it is, and as JSON, a URL, Base64 or hexadecimal digits write it. A short one counts only where it
 * stands for itself: a password that happens to be a word of ours must not blacken every line.
 */
function asPattern(secret: string): RegExp {
  const bytes = Buffer.from(secret);
  const written = [
    secret,
    JSON.stringify(secret).slice(1, -1),
    encodeURIComponent(secret.toWellFormed()),
    bytes.toString("base64").replace(/=+$/, ""),
    bytes.toString("base64url"),
    bytes.toString("hex"),
  ];
  const forms = [...new Set(written)].sort((a, b) => b.length - a.length).map(RegExp.escape).join("|");
  return secret.length >= UNLIKELY_WORD
    ? new RegExp(forms, "g")
    : new RegExp(`(?<![A-Za-z0-9_])(${forms})(?![A-Za-z0-9_])`, "g");
}
