/** Folder `sql`: runs one query as the reader and prints its rows. */
import { Command } from "commander";
import { readDatabaseAddress } from "../_shared/database_url.ts";
import {
  choice,
  type Environment,
  integer,
  parseSettings,
  readTogether,
  settingsError,
} from "../_shared/env.ts";
import { READER_SETTINGS } from "../_shared/running_servers.ts";
import { QUERIES } from "./queries.ts";

export const PROGRAM = "SQL task";

const FLAGS = {
  format: choice(["table", "csv", "json"], "table"),
  limit: integer({ min: 0, max: 1_000_000_000, unit: "rows, 0 for all", default: 1_000 }),
};

const NO_LOGIN = "READER_DATABASE_URL: is missing, expected the login of heartbeat_reader " +
  "(postgres://heartbeat_reader:password@host:5432/database), or a running `deno task up`, which has one";

/**
 * @returns undefined for `--list`
 * @throws UsageError that names every wrong flag or setting
 * @throws CommanderError after --help and for an unknown flag
 */
export function readConfig(args: readonly string[], env: Environment, readFile: (path: string) => string) {
  // A space keeps a query that begins with a comment from being read as a flag.
  const words = args.map((arg) => /^--\s/.test(arg) ? ` ${arg}` : arg);
  const command = createCommand().parse(words, { from: "user" });
  const given = command.opts<{ list: boolean; spreadsheet: boolean; format?: string; limit?: string }>();
  if (given.list) return undefined;
  const { format = given.spreadsheet ? "csv" : undefined, limit } = given;
  if (!env.DATABASE_URL && !env.DATABASE_URL_FILE) throw settingsError(PROGRAM, [NO_LOGIN]);
  const [sql, flags, settings, address] = readTogether(PROGRAM, [
    () => findQuery(command.args[0] ?? ""),
    () => parseSettings(PROGRAM, FLAGS, { format, limit }, { label: (name) => `--${name}` }),
    () => parseSettings(PROGRAM, READER_SETTINGS, env, { readFile }),
    () => readDatabaseAddress(PROGRAM, env, readFile),
  ]);
  if (given.spreadsheet && flags.format !== "csv") {
    throw settingsError(PROGRAM, [`--format: is ${flags.format}, expected csv together with --spreadsheet`]);
  }
  return {
    sql,
    format: flags.format,
    spreadsheet: given.spreadsheet,
    limit: flags.limit === 0 ? Infinity : flags.limit,
    databaseUrl: settings.DATABASE_URL,
    secrets: address.secrets,
  };
}

/** A name of `--list` stands for its query. No statement that reads is a single word. */
function findQuery(text: string): string {
  const known = QUERIES.get(text);
  if (known !== undefined) return known;
  if (/^(\s|--.*\n|\/\*[^]*?\*\/)*copy\b/i.test(text)) {
    throw settingsError(PROGRAM, [
      "query: is a COPY, expected a query; --format csv --limit 0 prints all its rows",
    ]);
  }
  if (!/^[\w-]*$/.test(text)) return text;
  const expected = `expected SQL, or one of ${[...QUERIES.keys()].join(", ")}`;
  throw settingsError(PROGRAM, [`query: is ${text === "" ? "missing" : JSON.stringify(text)}, ${expected}`]);
}

function createCommand(): Command {
  return new Command("sql").exitOverride()
    .description(
      "Runs one query in a read-only transaction as the role heartbeat_reader, and prints its rows.",
    )
    .argument("[query]", "SQL, or a name from --list")
    .option("--list", "print the named queries and exit", false)
    .option("--format <name>", "table, csv or json (default table)")
    .option("--limit <rows>", "number of rows to print, or 0 for all (default 1000)")
    .option(
      "--spreadsheet",
      "CSV for a spreadsheet: a value that it would run as a formula gets a leading '",
      false,
    )
    .addHelpText("after", HELP);
}

const HELP = `
A statement may take 30 s. Ctrl-C cancels it on the server. Instants are in UTC.
table  shows at most 300 characters of a value.
csv    follows RFC 4180. A null is an empty value, an empty text is "".
json   is an array of objects. Numbers have all their digits; some programs round those with more than 15.
Other values, such as arrays, intervals and bytes (\\x...), are texts as PostgreSQL writes them.
Control characters are escaped as \\uXXXX in a table, in JSON, and in CSV on a terminal.

Examples:
  deno task sql episodes
  deno task sql "select * from public.anomaly_episodes('c-0017', '2026-07-14 20:00Z', '2026-07-15 08:00Z')"
  deno task sql --format csv --limit 0 "select * from public.heartbeats_1m" > minutes.csv

Environment: READER_DATABASE_URL, or else DATABASE_URL (required). Without them, sql uses the PostgreSQL of a running
\`deno task up\`. \`deno task consume --migrate-only\` creates the reader if HEARTBEAT_READER_PASSWORD is set.
Exit codes: 0 the query ran, 1 it failed, 2 a wrong flag or setting, or not the reader's login, 130 after Ctrl-C.`;
