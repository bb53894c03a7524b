import { deepStrictEqual, doesNotMatch, strictEqual } from "node:assert";
import { settingsError } from "../../../workers/_shared/env.ts";
import { printable, printableLines } from "../../../workers/_shared/output.ts";
import { formatTable } from "../../../workers/_shared/table.ts";

/** What could forge a line, move a cursor, or turn the direction of what follows. */
const HOSTILE = [
  ["a line", "\n"],
  ["a carriage return", "\r"],
  ["an escape", "\x1b[2J"],
  ["an escape of one byte", "\x9b31m"],
  ["a bell", "\x07"],
  ["a backspace", "\b\x7f"],
  ["a line separator", "\u2028\u2029"],
  ["another direction", "\u202e\u2066\u200f"],
  ["nothing that is seen", "\u200b\ufeff\u00ad"],
  ["a tag", "\u{e0041}"],
  ["half a character", "\ud800"],
] as const;

Deno.test("printable() writes what moves or misleads a reader as an escape, and JSON stays the same JSON", () => {
  for (const [what, text] of HOSTILE) {
    const line = JSON.stringify({ customer: `before${text}after`, [text]: 1 });
    doesNotMatch(printable(line), /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u, what);
    deepStrictEqual(JSON.parse(printable(line)), JSON.parse(line), what);
  }
});

Deno.test("printable() leaves every other text alone", () => {
  const text = 'Zoë 心 👍🏽 "quoted" \\back\\ {braces} %s';
  strictEqual(printable(text), text);
  strictEqual(printableLines("a\nb\x1b"), "a\nb\\u001b");
});

Deno.test("settingsError() keeps a line each, whatever a value brings along", () => {
  const { message } = settingsError("tester", ["NAME: cannot read /x\nOTHER: is fine\x1b[0m"]);
  strictEqual(message.split("\n").length, 2);
  strictEqual(message.includes("\x1b"), false);
});

Deno.test("formatTable() keeps a row in its line", () => {
  strictEqual(formatTable([{ title: "found" }], [["a\nFAKE\x1b[1A"]]), "found\na\\u000aFAKE\\u001b[1A");
});
