import { deepStrictEqual, strictEqual, throws } from "node:assert";
import { readConfig } from "../../../workers/sql/config.ts";
import { QUERIES } from "../../../workers/sql/queries.ts";

const ENV = { DATABASE_URL: "postgres://heartbeat_reader:secret@127.0.0.1:5432/d" };
const read = (...args: string[]) => readConfig(args, ENV, () => "");

Deno.test("readConfig() takes SQL, or the name of a query of README", () => {
  strictEqual(read("select 1")?.sql, "select 1");
  strictEqual(read("table public.rollup")?.sql, "table public.rollup");
  strictEqual(read("select(1)")?.sql, "select(1)");
  strictEqual(read("-- a comment\nselect 1")?.sql, " -- a comment\nselect 1");
  for (const [name, sql] of QUERIES) strictEqual(read(name)?.sql, sql);
  strictEqual(read("--list"), undefined);
});

Deno.test("readConfig() prints 1,000 rows as a table by default, and all for --limit 0", () => {
  const { format, limit, spreadsheet } = read("select 1") ?? {};
  deepStrictEqual([format, limit, spreadsheet], ["table", 1_000, false]);
  strictEqual(read("select 1", "--limit", "0")?.limit, Infinity);
  strictEqual(read("select 1", "--spreadsheet")?.format, "csv");
});

Deno.test("readConfig() reports all wrong flags, a query that is missing, unknown or a COPY, and a missing login", () => {
  const wrong = [
    [["--format", "xml", "--limit", "-1", "nope"], [
      /query: is "nope", expected SQL, or one of episodes, readings/,
      /--format: is "xml", expected one of table, csv, json/,
      /--limit: is "-1", expected an integer from 0 to/,
    ]],
    [[], [/query: is missing, expected SQL, or one of/]],
    [["copy public.heartbeats to stdout"], [/query: is a COPY/]],
    [["-- all\n/* rows */ copy(select 1) to stdout"], [/query: is a COPY/]],
    [["select 1", "--format", "json", "--spreadsheet"], [
      /--format: is json, expected csv together with --spread/,
    ]],
  ] as const;
  for (const [args, problems] of wrong) {
    for (const problem of problems) throws(() => read(...args), problem);
  }
  throws(
    () => readConfig(["select 1"], {}, () => ""),
    /READER_DATABASE_URL: is missing, expected .*heartbeat_reader.*deno task up/,
  );
});
