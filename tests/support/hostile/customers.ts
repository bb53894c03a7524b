import { Buffer } from "node:buffer";
import fc from "fast-check";
import { anyText } from "../property.ts";

const inRange = (min: number, max: number) =>
  fc.integer({ min, max }).map((code) => String.fromCodePoint(code));

/** Characters that often break text processing, by class. */
const CLASSES: Readonly<Record<string, fc.Arbitrary<string>>> = {
  nul: fc.constant("\0"),
  c0: inRange(1, 0x1f),
  delAndC1: inRange(0x7f, 0x9f),
  loneHigh: inRange(0xd800, 0xdbff),
  loneLow: inRange(0xdc00, 0xdfff),
  nonCharacter: fc.oneof(
    inRange(0xfdd0, 0xfdef),
    fc.tuple(fc.nat({ max: 16 }), fc.nat({ max: 1 })).map(([plane, last]) =>
      String.fromCodePoint(plane * 0x10000 + 0xfffe + last)
    ),
  ),
  bidi: fc.constantFrom(..."\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"),
  invisible: fc.constantFrom("\u00ad", "\u034f", "\u200b", "\u200c", "\u200d", "\u2060", "\u3164", "\ufeff"),
  separators: fc.constantFrom("\u0085", "\u00a0", "\u1680", "\u2028", "\u2029", "\u202f", "\u3000"),
  combining: fc.oneof(inRange(0x300, 0x36f), inRange(0x20d0, 0x20ff), inRange(0xfe00, 0xfe0f)),
  emoji: fc.constantFrom(
    "\u{1f493}",
    "\u{1f468}\u200d\u{1f469}\u200d\u{1f467}",
    "\u{1f1e9}\u{1f1ea}",
    "1\ufe0f\u20e3",
  ),
  turkishAndGerman: fc.constantFrom("\u0130", "\u0131", "\u00df", "\u1e9e", "\u017f", "\u212a"),
  composed: fc.constantFrom("\u00e9", "e\u0301", "\u212b", "\u00c5", "\uac00", "\u1100\u1161", "\ufb01"),
  privateUse: fc.oneof(inRange(0xe000, 0xf8ff), inRange(0xf0000, 0xffffd), inRange(0x100000, 0x10fffd)),
  tags: inRange(0xe0000, 0xe007f),
  edges: fc.constantFrom(..."\u007f\u0080\u07ff\u0800\ud7ff\ue000\uffff\u{10000}\u{10ffff}"),
  replacement: fc.constant("\ufffd"),
  copyAndSql: fc.constantFrom("\\.", "\\N", "$1", "%s", "--", ..."\t\n\r'\"\\;{},"),
};

/** Customer ids with characters of these classes. Some lengths are near the limit of 128 code points or far above it. */
export const customerText: fc.Arbitrary<string> = fc.oneof(
  { weight: 4, arbitrary: anyText(40) },
  {
    weight: 6,
    arbitrary: fc.tuple(
      fc.array(fc.oneof(...Object.values(CLASSES)), { minLength: 1, maxLength: 6 }),
      fc.constantFrom("", "c-", "\u202e", "e"),
    ).map(([chars, before]) => before + chars.join("")),
  },
  {
    weight: 2,
    arbitrary: fc.tuple(
      fc.oneof(...Object.values(CLASSES)),
      fc.constantFrom(1, 2, 63, 64, 127, 128, 129, 130, 300),
    )
      .map(([char, times]) => char.repeat(times)),
  },
);

const INVALID_UTF8: Readonly<Record<string, string>> = {
  continuationAlone: "80",
  continuationsAlone: "bfbfbf",
  leadAlone: "c3",
  leadThenAscii: "e28261",
  cutThree: "e282",
  cutFour: "f09f92",
  overlongNul: "c080",
  overlongSlash: "c0af",
  overlongQuote: "c0a2",
  overlongThree: "e080af",
  overlongFour: "f08080af",
  overlongFive: "f8808080af",
  overlongSix: "fc80808080af",
  surrogate: "eda080",
  surrogateLow: "edbfbf",
  surrogatesOfEmoji: "eda0bdedb293",
  aboveUnicode: "f4908080",
  fiveBytes: "f888808080",
  sixBytes: "fc8480808080",
  fe: "fe",
  ff: "ff",
  latin1: "e9",
  utf16: "fffe6100",
};

/** Inserts bytes that are not UTF-8 at any position of a valid JSON text. */
export function withBadBytes(json: string): fc.Arbitrary<Uint8Array> {
  const bytes = Buffer.from(json);
  return fc.tuple(fc.constantFrom(...Object.values(INVALID_UTF8)), fc.nat({ max: bytes.length })).map(
    ([bad, at]) => {
      return Buffer.concat([bytes.subarray(0, at), Buffer.from(bad, "hex"), bytes.subarray(at)]);
    },
  );
}
