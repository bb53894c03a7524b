/**
 * Detects numbers that `JSON.parse` rounds: 72.00000000000000001 becomes 72, and 1e-400 becomes 0. Integers above 2^53-1 stay
 * above it, so only fractions can be mistaken for valid integers.
 */
/** A double keeps every decimal of up to 15 significant digits (IEEE 754, DBL_DIG). */
const LONG_NUMBER_CHARS = 16;

export function mayLosePrecision(json: Uint8Array): boolean {
  // Reads only every 16th byte, because a run of 16 digits and points contains one of them.
  for (let pos = LONG_NUMBER_CHARS - 1; pos < json.length; pos += LONG_NUMBER_CHARS) {
    if (!isDigitOrPoint(json[pos])) continue;
    let from = pos;
    let end = pos + 1;
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
 * The number as written; undefined if it is missing. A reviver of `JSON.parse` would overflow the stack on nested arrays.
 *
 * @param json an object that JSON.parse accepts
 * @param name a member of the outermost object; the last one of that name counts, as for JSON.parse
 */
export function numberSource(json: string, name: string): string | undefined {
  let depth = 0;
  let found: string | undefined;
  for (let pos = 0; pos < json.length; pos++) {
    const char = json[pos];
    if (char === "{" || char === "[") depth++;
    else if (char === "}" || char === "]") depth--;
    else if (char === '"') {
      const start = pos++;
      for (; json[pos] !== '"'; pos++) if (json[pos] === "\\") pos++;
      if (depth !== 1) continue;
      MEMBER_VALUE.lastIndex = pos + 1;
      const match = MEMBER_VALUE.exec(json);
      // A string without a colon after it is a value, not a name.
      if (match !== null && JSON.parse(json.slice(start, pos + 1)) === name) found = match[1];
    }
  }
  return found;
}

/** Whether the JSON number is an integer: 72.0, 7.2e1 and 0e-9 are, 0.72 and 1e-400 are not. */
export function isWhole(source: string): boolean {
  const [mantissa = "", exponent = "0"] = source.replace(/^-/, "").split(/e/i);
  const [whole = "", fraction = ""] = mantissa.split(".");
  const digits = whole + fraction;
  let significant = digits.length;
  while (digits[significant - 1] === "0") significant--;
  return significant === 0 || Number(exponent) - fraction.length + (digits.length - significant) >= 0;
}
