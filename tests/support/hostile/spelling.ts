import fc from "fast-check";

const SHORT: ReadonlyMap<string, string> = new Map([
  ['"', '\\"'],
  ["\\", "\\\\"],
  ["/", "\\/"],
  ["\b", "\\b"],
  ["\f", "\\f"],
  ["\n", "\\n"],
  ["\r", "\\r"],
  ["\t", "\\t"],
]);

/**
 * Writes a JSON string. For each character, `choices` decides between the character itself, a short escape and escaped
 * code units. 0 escapes the least.
 */
export function spellString(text: string, choices: number): string {
  let source = "";
  let state = choices | 1;
  for (const char of text) {
    state = Math.imul(state, 0x9e3779b1) + 0x7f4a7c15 | 0;
    const choice = choices === 0 ? 0 : state >>> 28;
    const raw = char >= " " && char !== '"' && char !== "\\" && char.isWellFormed();
    const short = SHORT.get(char);
    if (raw && choice < 10) source += char;
    else if (short !== undefined && choice < 12) source += short;
    else source += [...char.split("")].map((unit) => escapeUnit(unit, choice % 2 === 1)).join("");
  }
  return `"${source}"`;
}

function escapeUnit(unit: string, upper: boolean): string {
  const hex = unit.charCodeAt(0).toString(16).padStart(4, "0");
  return `\\u${upper ? hex.toUpperCase() : hex}`;
}

export const space: fc.Arbitrary<string> = fc.oneof(
  { weight: 6, arbitrary: fc.constant("") },
  { weight: 2, arbitrary: fc.constant(" ") },
  { weight: 1, arbitrary: fc.stringMatching(/^[ \t\r\n]{0,5}$/) },
);

/** Names and JSON sources of the members. A name may occur more than once. */
export type Members = readonly (readonly [name: string, source: string])[];

/** Writes a JSON object in any order, notation and spacing. Repeated names keep their order, because the last value counts. */
export function writeObject(members: Members): fc.Arbitrary<string> {
  const order = fc.array(fc.nat({ max: 1_000 }), { minLength: members.length, maxLength: members.length });
  const choices = fc.oneof({ weight: 4, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.nat() });
  return fc.tuple(order, choices, fc.array(space, { minLength: 5, maxLength: 5 })).map(
    ([ranks, choice, spaces]) => {
      const [outside = "", open = "", name = "", colon = "", comma = ""] = spaces;
      const ranked = members.map(([key, source], at) => ({ key, source, rank: ranks[at] ?? 0 }));
      const repeated = new Set(members.map(([key]) => key)).size < members.length;
      const ordered = repeated ? ranked : ranked.toSorted((a, b) => a.rank - b.rank);
      const body = ordered.map(({ key, source }) => {
        return `${open}${spellString(key, choice)}${name}:${colon}${source}${comma}`;
      });
      return `${outside}{${body.join(",")}${members.length === 0 ? open : ""}}${outside}`;
    },
  );
}
