import { Buffer } from "node:buffer";
import { createHash, pbkdf2Sync } from "node:crypto";
import { AssertionError } from "node:assert";

/** @returns the secrets that `text` contains in plain or encoded form */
export function leaks(text: string, secrets: readonly string[]): string[] {
  return secrets.flatMap((secret) =>
    Object.entries(formsOf(secret))
      .filter(([, form]) => text.includes(form))
      .map(([name]) => `${JSON.stringify(secret)} ${name}`)
  );
}

function formsOf(secret: string): Record<string, string> {
  const bytes = Buffer.from(secret);
  return {
    "as it is": secret,
    "in JSON": JSON.stringify(secret).slice(1, -1),
    "in a URL": encodeURIComponent(secret),
    "in a form": new URLSearchParams({ x: secret }).toString().slice(2),
    "in Base64": bytes.toString("base64").replace(/=+$/, ""),
    "in Base64 of PLAIN": Buffer.from(`\0${secret}`).toString("base64").replace(/=+$/, "").slice(2),
    "in hexadecimal": bytes.toString("hex"),
    "as its SHA-256": createHash("sha256").update(secret).digest("hex"),
    "as an unsalted key": pbkdf2Sync(secret, "", 4096, 32, "sha256").toString("base64"),
  };
}

const STACK_TRACE = /^\s+at .*:\d+:\d+\)?$/m;

/** @throws AssertionError if the output of a program contains a secret or a stack trace */
export function assertNoSecrets(output: string, secrets: readonly string[]): void {
  const problems = leaks(output, secrets).map((leak) => `the output shows ${leak}`);
  if (STACK_TRACE.test(output)) problems.push("the output shows a stack trace");
  if (problems.length > 0) throw new AssertionError({ message: `${problems.join("; ")}:\n${output}` });
}
