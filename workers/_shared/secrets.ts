import { Buffer } from "node:buffer";

/** A shorter secret is hidden only as a whole word. It can be part of an ordinary word, and log lines must stay readable. */
const MIN_UNAMBIGUOUS_CHARS = 12;

export class Secrets {
  /** The length of each form of each secret, by the form's pattern. */
  readonly #forms = new Map<string, number>();
  /** Matches nothing at first. `hide` sets a lookahead, which takes no characters, so that overlapping secrets are found, too. */
  #pattern = /(?!)/g;

  hide(secrets: readonly string[]): void {
    for (const secret of secrets) {
      for (const form of formsOf(secret)) this.#forms.set(asPattern(form, secret), form.length);
    }
    if (this.#forms.size === 0) return;
    const longestFirst = [...this.#forms].sort(([, a], [, b]) => b - a).map(([pattern]) => pattern);
    this.#pattern = new RegExp(`(?=(${longestFirst.join("|")}))`, "g");
  }

  /** Hides overlapping secrets as one. */
  redact(text: string): string {
    let redacted = "";
    let hiddenTo = 0;
    for (const { index, 1: form = "" } of text.matchAll(this.#pattern)) {
      if (index >= hiddenTo) redacted += `${text.slice(hiddenTo, index)}***`;
      hiddenTo = Math.max(hiddenTo, index + form.length);
    }
    return redacted + text.slice(hiddenTo);
  }
}

/** Returns the secret as it is, and as it looks in JSON, in a URL, in Base64 and in hexadecimal digits. */
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

function asPattern(form: string, secret: string): string {
  const pattern = RegExp.escape(form);
  return secret.length >= MIN_UNAMBIGUOUS_CHARS ? pattern : `(?<![A-Za-z0-9_])${pattern}(?![A-Za-z0-9_])`;
}
