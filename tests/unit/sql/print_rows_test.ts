import { deepStrictEqual, strictEqual } from "node:assert";
import { createPrinter, type Row } from "../../../workers/sql/print_rows.ts";

const [BOOL, BYTEA, INT8, TEXT, JSONB, FLOAT8, INSTANT, NUMERIC] = [16, 17, 20, 25, 3802, 701, 1184, 1700];

function printed(
  format: "table" | "csv" | "json",
  columns: readonly (readonly [name: string, type: number | undefined])[],
  parts: readonly (readonly Row[])[],
  { spreadsheet = false, isTerminal = false } = {},
): string {
  let output = "";
  const printer = createPrinter({ format, spreadsheet, isTerminal }, (text) => {
    output += text;
    return true;
  });
  const fields = columns.map(([name, dataTypeID = TEXT]) => ({ name, dataTypeID }));
  for (const rows of parts) printer.print(fields, rows);
  printer.end();
  return output;
}

const COLUMNS = [["n", INT8], ["text", TEXT], ["at", INSTANT]] as const;
const ROWS = [["9007199254740993", "a", "2026-07-14 09:30:00.123456+00"], ["2", null, "infinity"]];

Deno.test("a table aligns its columns, shows nulls, and ends with the number of rows", () => {
  strictEqual(
    printed("table", COLUMNS, [ROWS]),
    `               n  text  at
9007199254740993  a     2026-07-14T09:30:00.123456Z
               2  null  infinity
(2 rows)
`,
  );
  strictEqual(printed("table", [["n", INT8]], [[]]), "n\n(0 rows)\n");
});

Deno.test("a table escapes control characters in names and values, and cuts a value of more than 300 characters", () => {
  const output = printed("table", [["a\x1b[2J", TEXT]], [[["\x1b]0;x\x07\u202e\r\n"], ["y".repeat(301)]]]);
  strictEqual(
    output,
    `a\\u001b[2J\n\\u001b]0;x\\u0007\\u202e\\u000d\\u000a\n${"y".repeat(300)}...\n(2 rows)\n`,
  );
});

Deno.test("a table of more than 1,000 rows continues in another one with the same header", () => {
  const rows = Array.from({ length: 1_500 }, (_, n) => [String(n)]);
  const lines = printed("table", [["n", INT8]], [rows.slice(0, 1_000), rows.slice(1_000)]).split("\n");
  deepStrictEqual(lines.flatMap((line, index) => line.endsWith("n") ? [index] : []), [0, 1_001]);
  deepStrictEqual(lines.slice(-3), ["1499", "(1500 rows)", ""]);
});

Deno.test("CSV follows RFC 4180: CRLF, quotes where they are needed, null as an empty value and an empty text as quotes", () => {
  const rows = [["1", 'say "a, b"', "x\ny"], ["2", null, ""], ["3", "=1+1", " "]];
  strictEqual(
    printed("csv", [["n", INT8], ["a,b", TEXT], ["c", TEXT]], [rows.slice(0, 1), rows.slice(1)]),
    'n,"a,b",c\r\n1,"say ""a, b""","x\ny"\r\n2,,""\r\n3,=1+1, \r\n',
  );
  strictEqual(printed("csv", [["n", INT8]], [[]]), "n\r\n");
});

Deno.test("CSV for a spreadsheet has no formulas", () => {
  const formulas = ["=1+1", "+1", "-1", "@a", "\ta", "\r=1"];
  const output = printed("csv", [["f", TEXT]], [formulas.map((text) => [text])], { spreadsheet: true });
  strictEqual(output, "f\r\n'=1+1\r\n'+1\r\n'-1\r\n'@a\r\n'\ta\r\n\"'\r=1\"\r\n");
});

Deno.test("CSV on a terminal has no control characters besides the line breaks", () => {
  strictEqual(
    printed("csv", [["a", TEXT]], [[["\x1b[2J\n"], ["b\r\nX"]]], { isTerminal: true }),
    'a\n"\\u001b[2J\\u000a"\n"b\\u000d\\u000aX"\n',
  );
});

Deno.test("JSON is an array of objects with all digits of each number, and keeps texts exactly", () => {
  const columns = [
    ["i", INT8],
    ["n", NUMERIC],
    ["f", FLOAT8],
    ["nan", FLOAT8],
    ["b", BOOL],
    ["y", BYTEA],
    ["t", TEXT],
    ["at", INSTANT],
    ["j", JSONB],
    ["z", TEXT],
  ] as const;
  const row = [
    "9223372036854775807",
    "1.10000000000000000000000000001",
    "1e+300",
    "-Infinity",
    "f",
    "\\x00ff",
    '\x1b\u202e\u{1fac0}"\\\n',
    "2026-07-14 09:30:00+00",
    '{"a":\n\t[1.0],  "b": "\u00a0"}',
    null,
  ];
  const output = printed("json", columns, [[row], [row]]);
  const line =
    '{"i":9223372036854775807,"n":1.10000000000000000000000000001,"f":1e+300,"nan":"-Infinity","b":false,' +
    '"y":"\\\\x00ff","t":"\\u001b\\u202e\u{1fac0}\\"\\\\\\n","at":"2026-07-14T09:30:00Z","j":{"a":  [1.0],  "b": "\u00a0"},"z":null}';
  strictEqual(output, `[\n${line},\n${line}\n]\n`);
  const [parsed] = JSON.parse(output);
  deepStrictEqual([parsed.t, parsed.j], [row[6], { a: [1], b: "\u00a0" }]);
  deepStrictEqual(printed("json", columns, [[]]), "[]\n");
});
