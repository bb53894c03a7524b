import { deepStrictEqual, ok, strictEqual } from "node:assert";
import fc from "fast-check";
import { Secrets } from "../../../workers/_shared/secrets.ts";
import { anyText, property } from "../../support/property.ts";

/** Uses methods of the web platform, while the code under test uses those of Node. */
function formsOf(secret: string): string[] {
  const bytes = new TextEncoder().encode(secret);
  return [
    secret,
    JSON.stringify(secret).slice(1, -1),
    encodeURIComponent(secret.toWellFormed()),
    bytes.toBase64({ omitPadding: true }),
    bytes.toBase64({ alphabet: "base64url", omitPadding: true }),
    bytes.toHex(),
  ];
}

function secretsOf(...calls: readonly (readonly string[])[]): Secrets {
  const secrets = new Secrets();
  for (const call of calls) secrets.hide(call);
  return secrets;
}

Deno.test("Secrets.redact() hides a secret in each of its encodings", () => {
  const secret = 'p@ss "wörd"/+';
  const secrets = secretsOf([secret, ""]);
  for (const form of formsOf(secret)) {
    strictEqual(secrets.redact(`user:${form}@host`), "user:***@host", form);
  }
});

Deno.test("Secrets.redact() does not change longer words that contain a short secret", () => {
  strictEqual(secretsOf(["heart"]).redact("heartbeat of heart"), "heartbeat of ***");
});

Deno.test("Secrets.redact() leaves no part of secrets that contain or overlap each other", () => {
  const [short, long] = ["abcdefghijkl", "abcdefghijklSECRETTAIL"];
  for (const secrets of [secretsOf([short, long]), secretsOf([long, short]), secretsOf([short], [long])]) {
    strictEqual(secrets.redact(`password=${long}`), "password=***");
    strictEqual(secrets.redact(`${short}, ${long}`), "***, ***");
  }
  const inTheMiddle = secretsOf(["first-secret-shared"], ["shared-second-secret"], ["secret-share"]);
  strictEqual(inTheMiddle.redact("a first-secret-shared-second-secret b"), "a *** b");
});

// With few letters, the secrets contain and overlap each other. An asterisk would look like a replacement.
const secret = fc.oneof(
  fc.stringMatching(/^[ab]{1,16}$/),
  fc.stringMatching(/^[a-c" ]{1,30}$/),
  anyText(30).map((text) => text.replaceAll("*", "")),
);
const calls = fc.array(fc.array(secret, { maxLength: 4 }), { maxLength: 3 });

Deno.test("Secrets.redact() leaves no encoding of any secret, even if secrets overlap", () => {
  const text = (secrets: readonly string[]) => {
    const form = fc.constantFrom("", ...secrets.flatMap(formsOf));
    const cut = fc.tuple(form, fc.nat({ max: 20 })).map(([whole, from]) => whole.slice(from));
    return fc.array(fc.oneof(form, cut, fc.constantFrom(" ", "=", "x", "/")), { maxLength: 8 });
  };
  const secretsAndText = calls.chain((calls) => fc.tuple(fc.constant(calls), text(calls.flat())));
  fc.assert(
    fc.property(secretsAndText, ([calls, parts]) => {
      const redacted = secretsOf(...calls).redact(parts.join(""));
      for (const secret of calls.flat()) {
        for (const form of formsOf(secret)) {
          if (form === "") continue;
          // A short secret is hidden only as a whole word, so it may remain next to a hidden secret.
          const alone = new RegExp(`(?<![A-Za-z0-9_*])${RegExp.escape(form)}(?![A-Za-z0-9_*])`);
          ok(
            secret.length >= 12 ? !redacted.includes(form) : !alone.test(redacted),
            `${form} in ${redacted}`,
          );
        }
      }
    }),
    property("secrets", 1_000),
  );
});

Deno.test("Secrets.redact() does not change a text without secrets", () => {
  fc.assert(
    fc.property(calls, anyText(200), (calls, text) => {
      fc.pre(
        !calls.flat().some((secret) => formsOf(secret).some((form) => form !== "" && text.includes(form))),
      );
      deepStrictEqual(secretsOf(...calls).redact(text), text);
    }),
    property("texts without secrets", 500),
  );
});
