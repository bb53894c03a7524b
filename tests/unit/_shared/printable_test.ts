import { deepStrictEqual, doesNotMatch, strictEqual } from "node:assert";
import { settingsError } from "../../../workers/_shared/env.ts";
import { printable, printableLines } from "../../../workers/_shared/output.ts";
import { formatTable } from "../../../workers/_shared/table.ts";

const DANGEROUS = [
  ["a line feed", "\n"],
  ["a carriage return", "\r"],
  ["an escape", "\x1b[2J"],
  ["an escape of one byte", "\x9b31m"],
  ["a bell", "\x07"],
  ["a backspace", "\b\x7f"],
  ["a line separator", "\u2028\u2029"],
  ["a change of direction", "\u202e\u2066\u200f"],
  ["invisible characters", "\u200b\ufeff\u00ad"],
  ["a tag", "\u{e0041}"],
  ["an unpaired surrogate", "\ud800"],
] as const;

Deno.test("printable() escapes characters that can forge a line, move a cursor or reverse text, and keeps the meaning of JSON", () => {
  for (const [what, text] of DANGEROUS) {
    const line = JSON.stringify({ customer: `before${text}after`, [text]: 1 });
    doesNotMatch(printable(line), /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u, what);
    deepStrictEqual(JSON.parse(printable(line)), JSON.parse(line), what);
  }
});

Deno.test("printable() does not change any other text", () => {
  const text = 'Zoë 心 👍🏽 "quoted" \\back\\ {braces} %s';
  strictEqual(printable(text), text);
  strictEqual(printableLines("a\nb\x1b"), "a\nb\\u001b");
});

Deno.test("settingsError() writes each problem in one line, even if a value contains line breaks", () => {
  const { message } = settingsError("tester", ["NAME: cannot read /x\nOTHER: is fine\x1b[0m"]);
  strictEqual(message.split("\n").length, 2);
  strictEqual(message.includes("\x1b"), false);
});

Deno.test("formatTable() writes each row in one line, even if a cell contains a line break", () => {
  strictEqual(formatTable([{ title: "found" }], [["a\nFAKE\x1b[1A"]]), "found\na\\u000aFAKE\\u001b[1A");
});
