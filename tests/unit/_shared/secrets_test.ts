/** No secret is told, however many there are and however they lie in each other. */
import { deepStrictEqual, ok, strictEqual } from "node:assert";
import fc from "fast-check";
import { Secrets } from "../../../workers/_shared/secrets.ts";
import { anyText, property } from "../../support/property.ts";

/** Written with the platform's own means, where the code uses Node's. */
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

function hiding(...calls: readonly (readonly string[])[]): Secrets {
  const secrets = new Secrets();
  for (const call of calls) secrets.hide(call);
  return secrets;
}

Deno.test("Secrets.redact() hides a secret in each way in which it is written", () => {
  const secret = 'p@ss "wörd"/+';
  const secrets = hiding([secret, ""]);
  for (const form of formsOf(secret)) {
    strictEqual(secrets.redact(`user:${form}@host`), "user:***@host", form);
  }
});

Deno.test("Secrets.redact() leaves words alone that only contain a short secret", () => {
  strictEqual(hiding(["heart"]).redact("heartbeat of heart"), "heartbeat of ***");
});

Deno.test("Secrets.redact() leaves no rest of a secret that begins, ends or goes on in another", () => {
  const [short, long] = ["abcdefghijkl", "abcdefghijklSECRETTAIL"];
  for (const secrets of [hiding([short, long]), hiding([long, short]), hiding([short], [long])]) {
    strictEqual(secrets.redact(`password=${long}`), "password=***");
    strictEqual(secrets.redact(`${short}, ${long}`), "***, ***");
  }
  const inTheMiddle = hiding(["first-secret-shared"], ["shared-second-secret"], ["secret-share"]);
  strictEqual(inTheMiddle.redact("a first-secret-shared-second-secret b"), "a *** b");
});

/** Of few letters, so that they begin, end and contain each other; no asterisk, which is what is told instead. */
const secret = fc.oneof(
  fc.stringMatching(/^[ab]{1,16}$/),
  fc.stringMatching(/^[a-c" ]{1,30}$/),
  anyText(30).map((text) => text.replaceAll("*", "")),
);
const calls = fc.array(fc.array(secret, { maxLength: 4 }), { maxLength: 3 });

Deno.test("Secrets.redact() tells no form of any secret, whatever they have in common", () => {
  const text = (secrets: readonly string[]) => {
    const form = fc.constantFrom("", ...secrets.flatMap(formsOf));
    const cut = fc.tuple(form, fc.nat({ max: 20 })).map(([whole, from]) => whole.slice(from));
    return fc.array(fc.oneof(form, cut, fc.constantFrom(" ", "=", "x", "/")), { maxLength: 8 });
  };
  const secretsAndText = calls.chain((calls) => fc.tuple(fc.constant(calls), text(calls.flat())));
  fc.assert(
    fc.property(secretsAndText, ([calls, parts]) => {
      const told = hiding(...calls).redact(parts.join(""));
      for (const secret of calls.flat()) {
        for (const form of formsOf(secret)) {
          if (form === "") continue;
          // A short one counts where it stands for itself; beside what was hidden it did not.
          const alone = new RegExp(`(?<![A-Za-z0-9_*])${RegExp.escape(form)}(?![A-Za-z0-9_*])`);
          ok(secret.length >= 12 ? !told.includes(form) : !alone.test(told), `${form} in ${told}`);
        }
      }
    }),
    property("secrets told", 1_000),
  );
});

Deno.test("Secrets.redact() leaves a text without secrets as it is", () => {
  fc.assert(
    fc.property(calls, anyText(200), (calls, text) => {
      fc.pre(
        !calls.flat().some((secret) => formsOf(secret).some((form) => form !== "" && text.includes(form))),
      );
      deepStrictEqual(hiding(...calls).redact(text), text);
    }),
    property("texts without secrets", 500),
  );
});
