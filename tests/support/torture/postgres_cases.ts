import { Buffer } from "node:buffer";
import { record, type TortureCase } from "./case.ts";

const GOOD: readonly (readonly [name: string, customerId: string])[] = [
  ["the end of a COPY in text format", "\\."],
  ["the end of a COPY on a line of its own", "a\n\\.\nb"],
  ["NULL of a COPY", "\\N"],
  ["separators of a COPY", "a\tb\nc\rd"],
  ["a backslash at the end", "c\\"],
  ["two backslashes", "\\\\"],
  ["bytea in hexadecimal", "\\x41"],
  ["bytea in escapes", "\\000\\377"],
  ["bytea that is none", "\\xzz"],
  ["single quotes", "''"],
  ["double quotes", '""'],
  ["an escape string", "E'\\n'"],
  ["dollar quotes", "$$ $a$ $1"],
  ["SQL", "'); drop table public.heartbeats; --"],
  ["a comment", "/* -- */"],
  ["an array", '{a,NULL,"b"}'],
  ["the word NULL", "NULL"],
  ["the word null", "null"],
  ["a range", "[,)"],
  ["spaces that text keeps", "  c  "],
  ["one space", " "],
  ["a percent sign and an underscore", "%_"],
  ["the longest, of four bytes each", "\u{10ffff}".repeat(128)],
  ["the longest, of combining marks", "\u0301".repeat(128)],
  ["the same name composed", "\u00e9"],
  ["the same name decomposed", "e\u0301"],
  ["upper case", "CUSTOMER"],
  ["lower case", "customer"],
  ["an integer as text", "42"],
  ["a name of JavaScript's", "__proto__"],
  ["another", "constructor"],
];

const BAD: readonly (readonly [name: string, customerSource: string, reason: string])[] = [
  // node-postgres #2080: invalid byte sequence for encoding "UTF8": 0x00
  ["a NUL that was escaped", '"a\\u0000b"', "invalid_customer_id"],
  ["a NUL that was not", '"a\0b"', "invalid_json"],
  ["a high surrogate alone", '"\\ud83d"', "invalid_customer_id"],
  ["a low surrogate alone", '"\\udc93"', "invalid_customer_id"],
  ["surrogates the wrong way round", '"\\udc93\\ud83d"', "invalid_customer_id"],
  ["129 characters", `"${"c".repeat(129)}"`, "invalid_customer_id"],
  ["a megabyte of a customer", `"${"\u{1f493}".repeat(225_000)}"`, "invalid_customer_id"],
];

/**
 * Texts and bytes that have broken programs that write to PostgreSQL.
 * @param from number of the first case
 */
export function postgresCases(from: number): TortureCase[] {
  const everyByte = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));
  const good = GOOD.map(([name, customerId], index): TortureCase => ({
    name,
    value: record(JSON.stringify(customerId), from + index),
    key: Buffer.from(customerId),
    expected: { customerId },
  }));
  const bad = BAD.map(([name, source, reject], index): TortureCase => ({
    name,
    value: record(source, from + GOOD.length + index),
    key: everyByte,
    expected: { reject },
  }));
  return [
    ...good,
    ...bad,
    { name: "every byte there is", value: everyByte, expected: { reject: "invalid_utf8" } },
    {
      name: "the head of a binary COPY",
      value: Buffer.from("PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0\xff\xff", "latin1"),
      expected: { reject: "invalid_utf8" },
    },
    { name: "a million NULs", value: Buffer.alloc(1_000_000), expected: { reject: "invalid_json" } },
    {
      name: "a megabyte beside a good customer",
      value: record('"large"', from + GOOD.length + BAD.length, `"${"\\".repeat(450_000)}"`),
      expected: { customerId: "large" },
    },
  ];
}
