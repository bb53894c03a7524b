/** The secrets of a process, which appear in nothing that it says, whatever error carries them. */
import { Buffer } from "node:buffer";

/** From here on no secret is a word of ours, so it is hidden inside longer words too. */
const UNLIKELY_WORD = 12;

export class Secrets {
  /** How long each form of a secret is, by the pattern that finds it. */
  readonly #forms = new Map<string, number>();
  /** Finds at each place the longest form that begins there, and takes nothing: the next may begin inside. */
  #pattern = /(?!)/g;

  /** Empty texts are no secrets. */
  hide(secrets: readonly string[]): void {
    for (const secret of secrets) {
      for (const form of formsOf(secret)) this.#forms.set(asPattern(form, secret), form.length);
    }
    if (this.#forms.size === 0) return;
    const longestFirst = [...this.#forms].sort(([, a], [, b]) => b - a).map(([pattern]) => pattern);
    this.#pattern = new RegExp(`(?=(${longestFirst.join("|")}))`, "g");
  }

  /** Secrets that overlap are hidden as one. */
  redact(text: string): string {
    let told = "";
    let hiddenTo = 0;
    for (const { index, 1: form = "" } of text.matchAll(this.#pattern)) {
      if (index >= hiddenTo) told += `${text.slice(hiddenTo, index)}***`;
      hiddenTo = Math.max(hiddenTo, index + form.length);
    }
    return told + text.slice(hiddenTo);
  }
}

/** A secret as it is, and as JSON, a URL, Base64 or hexadecimal digits write it. */
function formsOf(secret: string): string[] {
  const bytes = Buffer.from(secret);
  return [
    secret,
    JSON.stringify(secret).slice(1, -1),
    encodeURIComponent(secret.toWellFormed()),
    bytes.toString("base64").replace(/=+$/, ""),
    bytes.toString("base64url"),
    bytes.toString("hex"),
  ].filter((form) => form !== "");
}

/** A short secret counts only where it stands for itself: a password that is a word of ours must not blacken every line. */
function asPattern(form: string, secret: string): string {
  const pattern = RegExp.escape(form);
  return secret.length >= UNLIKELY_WORD ? pattern : `(?<![A-Za-z0-9_])${pattern}(?![A-Za-z0-9_])`;
}
