/**
 * A slow, strict JSON parser, written from RFC 8259 and from table 3-7 of the Unicode standard without code of the pipeline,
 * so that it can check the fast decoders. It does not recurse, because hostile records are nested 100,000 levels deep.
 */

/** Values below the members of the outermost object keep only their kind. Numbers keep their source text. */
export type Json =
  | { readonly kind: "object"; readonly members: ReadonlyMap<string, Json> }
  | { readonly kind: "array" }
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "number"; readonly source: string }
  | { readonly kind: "literal"; readonly source: "true" | "false" | "null" };

const NOTHING_KEPT: ReadonlyMap<string, Json> = new Map();

/** @returns code points, or undefined if a byte is not well-formed UTF-8 */
export function codePointsOf(bytes: Uint8Array): number[] | undefined {
  const codes: number[] = [];
  for (let at = 0; at < bytes.length;) {
    const lead = bytes[at++] ?? 0;
    if (lead <= 0x7f) {
      codes.push(lead);
      continue;
    }
    const row = LEADS.find(({ from, to }) => lead >= from && lead <= to);
    if (row === undefined) return undefined;
    let code = lead & row.bits;
    for (let nth = 0; nth < row.more; nth++) {
      const byte = bytes[at++] ?? 0;
      const [low, high] = nth === 0 ? row.second : [0x80, 0xbf];
      if (byte < low || byte > high) return undefined;
      code = code << 6 | byte & 0x3f;
    }
    codes.push(code);
  }
  return codes;
}

/** Unicode table 3-7: lead bytes, their data bits, the number of bytes that follow, and the range of the second byte. */
const LEADS: readonly {
  readonly from: number;
  readonly to: number;
  readonly bits: number;
  readonly more: number;
  readonly second: readonly [number, number];
}[] = [
  { from: 0xc2, to: 0xdf, bits: 0x1f, more: 1, second: [0x80, 0xbf] },
  { from: 0xe0, to: 0xe0, bits: 0x0f, more: 2, second: [0xa0, 0xbf] },
  { from: 0xe1, to: 0xec, bits: 0x0f, more: 2, second: [0x80, 0xbf] },
  { from: 0xed, to: 0xed, bits: 0x0f, more: 2, second: [0x80, 0x9f] },
  { from: 0xee, to: 0xef, bits: 0x0f, more: 2, second: [0x80, 0xbf] },
  { from: 0xf0, to: 0xf0, bits: 0x07, more: 3, second: [0x90, 0xbf] },
  { from: 0xf1, to: 0xf3, bits: 0x07, more: 3, second: [0x80, 0xbf] },
  { from: 0xf4, to: 0xf4, bits: 0x07, more: 3, second: [0x80, 0x8f] },
];

/** @returns undefined if the text is not JSON. If a name occurs several times, the last member counts. */
export function readJson(codes: readonly number[]): Json | undefined {
  const reader = new Reader(codes);
  try {
    return reader.document();
  } catch (error) {
    if (error instanceof InvalidJson) return undefined;
    throw error;
  }
}

class InvalidJson extends Error {
  override readonly name = "NoJson";
}

class Reader {
  readonly #codes: readonly number[];
  readonly #open: ("{" | "[")[] = [];
  readonly #members = new Map<string, Json>();
  #name = "";
  #at = 0;

  constructor(codes: readonly number[]) {
    this.#codes = codes;
  }

  document(): Json {
    for (;;) {
      let value = this.#begin();
      // Each iteration completes one value: a scalar, or a container that ends after it.
      while (value !== undefined) {
        if (this.#open.length === 0) {
          this.#space();
          if (this.#at !== this.#codes.length) throw new InvalidJson();
          return value;
        }
        if (this.#open.length === 1 && this.#open[0] === "{") this.#members.set(this.#name, value);
        value = this.#next();
      }
    }
  }

  /** Reads a scalar or an empty container. Returns undefined after entering a container. */
  #begin(): Json | undefined {
    this.#space();
    const char = this.#char();
    if (char === "{" || char === "[") {
      this.#at++;
      this.#open.push(char);
      this.#space();
      if (this.#char() === (char === "{" ? "}" : "]")) return this.#close();
      if (char === "{") this.#memberName();
      return undefined;
    }
    if (char === '"') return { kind: "text", text: this.#text() };
    if (char === "-" || isDigit(char)) return { kind: "number", source: this.#number() };
    for (const source of ["true", "false", "null"] as const) {
      if (!this.#starts(source)) continue;
      this.#at += source.length;
      return { kind: "literal", source };
    }
    throw new InvalidJson();
  }

  /** Continues after a value in a container. Returns the container if it ends after this value, otherwise undefined. */
  #next(): Json | undefined {
    this.#space();
    const inside = this.#open.at(-1);
    const char = this.#char();
    if (char === ",") {
      this.#at++;
      if (inside === "{") this.#memberName();
      return undefined;
    }
    if (char !== (inside === "{" ? "}" : "]")) throw new InvalidJson();
    return this.#close();
  }

  #close(): Json {
    this.#at++;
    const closed = this.#open.pop();
    if (closed === "[") return { kind: "array" };
    return { kind: "object", members: this.#open.length === 0 ? this.#members : NOTHING_KEPT };
  }

  #memberName(): void {
    this.#space();
    const name = this.#text();
    if (this.#open.length === 1) this.#name = name;
    this.#space();
    this.#take(":");
  }

  #text(): string {
    this.#take('"');
    let text = "";
    for (;;) {
      const code = this.#codes[this.#at++];
      if (code === undefined || code < 0x20) throw new InvalidJson();
      if (code === 0x22) return text;
      text += code === 0x5c ? this.#escaped() : String.fromCodePoint(code);
    }
  }

  #escaped(): string {
    const char = this.#char();
    this.#at++;
    if (char !== "u") {
      const meant = ESCAPES.get(char);
      if (meant === undefined) throw new InvalidJson();
      return meant;
    }
    let unit = 0;
    for (let nth = 0; nth < 4; nth++) {
      // At the end of the text #char() is empty, and indexOf("") is 0. The length check below catches it.
      const digit = "0123456789abcdef".indexOf(this.#char().toLowerCase());
      if (digit < 0 || this.#at >= this.#codes.length) throw new InvalidJson();
      unit = unit * 16 + digit;
      this.#at++;
    }
    return String.fromCharCode(unit);
  }

  #number(): string {
    const start = this.#at;
    if (this.#char() === "-") this.#at++;
    if (this.#char() === "0") this.#at++;
    else this.#digits();
    if (this.#char() === ".") {
      this.#at++;
      this.#digits();
    }
    if (this.#char() === "e" || this.#char() === "E") {
      this.#at++;
      if (this.#char() === "+" || this.#char() === "-") this.#at++;
      this.#digits();
    }
    return this.#codes.slice(start, this.#at).map((code) => String.fromCharCode(code)).join("");
  }

  #digits(): void {
    if (!isDigit(this.#char())) throw new InvalidJson();
    while (isDigit(this.#char())) this.#at++;
  }

  #space(): void {
    while ([0x20, 0x09, 0x0a, 0x0d].includes(this.#codes[this.#at] ?? -1)) this.#at++;
  }

  #take(char: string): void {
    if (this.#char() !== char) throw new InvalidJson();
    this.#at++;
  }

  #starts(word: string): boolean {
    return [...word].every((char, nth) => this.#codes[this.#at + nth] === char.charCodeAt(0));
  }

  #char(): string {
    const code = this.#codes[this.#at];
    return code === undefined ? "" : String.fromCodePoint(code);
  }
}

const ESCAPES: ReadonlyMap<string, string> = new Map([
  ['"', '"'],
  ["\\", "\\"],
  ["/", "/"],
  ["b", "\b"],
  ["f", "\f"],
  ["n", "\n"],
  ["r", "\r"],
  ["t", "\t"],
]);

function isDigit(char: string): boolean {
  return char.length === 1 && char >= "0" && char <= "9";
}
