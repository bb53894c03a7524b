import { Buffer } from "node:buffer";
import { record, type TortureCase } from "./case.ts";

// The first and last code point of each length, next to the surrogates, and noncharacters (RFC 3629, Unicode table 3-7).
const GOOD: readonly number[] = [
  "01 7f 80 7ff 800 fff 1000 cfff d000 d7ff e000 fdd0 fdef feff fffd fffe ffff",
  "10000 1fffe 1ffff 3ffff 40000 fffff 100000 10fffe 10ffff",
].flatMap((line) => line.split(" ").map((hex) => parseInt(hex, 16)));

const BAD: readonly (readonly [name: string, hex: string])[] = [
  [
    "each continuation byte alone",
    Array.from({ length: 64 }, (_, nth) => (0x80 + nth).toString(16)).join(""),
  ],
  ["one continuation byte", "80"],
  ["seven continuation bytes", "80bf80bf80bf80"],
  ["two-byte leads, each before a space", "c320c420df20"],
  ["three-byte leads, each before a space", "e020e120ef20"],
  ["four-byte leads, each before a space", "f020f120f420"],
  ["the last byte of two missing", "c3"],
  ["the last byte of three missing", "e282"],
  ["the last byte of four missing", "f09f92"],
  ["cut characters one behind the other", "c3e282f09f92"],
  ["FE", "fe"],
  ["FF", "ff"],
  ["a slash in two bytes", "c0af"],
  ["a slash in three bytes", "e080af"],
  ["a slash in four bytes", "f08080af"],
  ["a slash in five bytes", "f8808080af"],
  ["a slash in six bytes", "fc80808080af"],
  ["NUL in two bytes, as Java writes it", "c080"],
  ["NUL in three bytes", "e08080"],
  ["the largest overlong of two", "c1bf"],
  ["the largest overlong of three", "e09fbf"],
  ["the largest overlong of four", "f08fbfbf"],
  ["the first high surrogate", "eda080"],
  ["the last high surrogate", "edafbf"],
  ["the first low surrogate", "edb080"],
  ["the last low surrogate", "edbfbf"],
  ["a pair of surrogates, as CESU-8 writes it", "eda0bdedb293"],
  ["U+110000", "f4908080"],
  ["U+1FFFFF", "f7bfbfbf"],
  ["five bytes", "f888808080"],
  ["six bytes", "fc8480808080"],
  ["UTF-16 with its mark", "fffe6300"],
  ["Latin 1", "e9"],
];

/** @param from number of the first case */
export function utf8Cases(from: number): TortureCase[] {
  const good = GOOD.map((code, index): TortureCase => {
    const char = String.fromCodePoint(code);
    // JSON does not allow raw control characters in a string.
    const source = code < 0x20 ? JSON.stringify(char) : `"${char}"`;
    return {
      name: `U+${code.toString(16)}`,
      value: record(source, from + index),
      key: Buffer.from(char),
      expected: { customerId: char },
    };
  });
  const bad = BAD.map(([name, hex], index): TortureCase => {
    const bytes = Buffer.from(hex, "hex");
    const quoted = Buffer.concat([Buffer.from('"'), bytes, Buffer.from('"')]);
    return {
      name,
      value: record(quoted, from + GOOD.length + index),
      key: bytes,
      expected: { reject: "invalid_utf8" },
    };
  });
  return [...good, ...bad];
}
