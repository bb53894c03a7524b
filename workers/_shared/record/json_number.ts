/**
 * Exact numbers in JSON. `JSON.parse` rounds to the nearest double without a word: 72.00000000000000001 becomes 72 and
 * 1e-400 becomes 0. Whole numbers above 2^53-1 stay above it, so that only fractions can pass for integers.
 */

/** A decimal of 15 significant digits or less survives a double unchanged (IEEE 754, DBL_DIG), so it never rounds. */
const LONG_NUMBER_CHARS = 16;

/** Whether JSON text has a number that `JSON.parse` may round: 16 digits or points in a row, one of them a 16th byte. */
export function mayLosePrecision(json: Uint8Array): boolean {
  for (let at = LONG_NUMBER_CHARS - 1; at < json.length; at += LONG_NUMBER_CHARS) {
    if (!isDigitOrPoint(json[at])) continue;
    let from = at;
    let end = at + 1;
    while (isDigitOrPoint(json[from - 1])) from--;
    while (isDigitOrPoint(json[end])) end++;
    if (end - from >= LONG_NUMBER_CHARS) return true;
  }
  return false;
}

function isDigitOrPoint(byte: number | undefined): boolean {
  return byte !== undefined && (byte >= 0x30 && byte <= 0x39 || byte === 0x2e);
}

const MEMBER_VALUE = /\s*:\s*(-?[0-9][0-9.eE+-]*)?/y;

/**
 * The number of a member as it was written. A reviver of `JSON.parse` overflows the stack on nested arrays.
 *
 * @param json text of an object that JSON.parse has accepted
 * @param name of a member of the outermost object; the last of several counts, as for JSON.parse
 * @returns undefined when the member is missing or no number
 */
export function numberSource(json: string, name: string): string | undefined {
  let depth = 0;
  let found: string | undefined;
  for (let at = 0; at < json.length; at++) {
    const char = json[at];
    if (char === "{" || char === "[") depth++;
    else if (char === "}" || char === "]") depth--;
    else if (char === '"') {
      const start = at++;
      for (; json[at] !== '"'; at++) if (json[at] === "\\") at++;
      if (depth !== 1) continue;
      MEMBER_VALUE.lastIndex = at + 1;
      const match = MEMBER_VALUE.exec(json);
      // Without a colon it is a value and no name.
      if (match !== null && JSON.parse(json.slice(start, at + 1)) === name) found = match[1];
    }
  }
  return found;
}

/** Whether a number as JSON writes it is whole: 72, 72.0, 7.2e1 and 0e-9 are, 0.72 and 1e-400 are not. */
export function isWhole(source: string): boolean {
  const [mantissa = "", exponent = "0"] = source.replace(/^-/, "").split(/e/i);
  const [whole = "", fraction = ""] = mantissa.split(".");
  const digits = whole + fraction;
  let significant = digits.length;
  while (digits[significant - 1] === "0") significant--;
  return significant === 0 || Number(exponent) - fraction.length + (digits.length - significant) >= 0;
}
