import { stringify } from "csv-stringify/sync";
import { printable } from "../_shared/output.ts";
import { type Column, formatTable } from "../_shared/table.ts";

export type Row = (string | null)[];
type Field = Readonly<{ name: string; dataTypeID: number }>;

/** Prints one result in parts, as they arrive. */
export interface Printer {
  /** @returns false if the reader of the output has gone */
  readonly print: (fields: readonly Field[], rows: readonly Row[]) => boolean;
  readonly end: () => void;
}

type Write = (text: string) => boolean;

/** OIDs of types, which are the same on every server. */
const BOOLEAN = 16;
const NUMBERS = [20, 21, 23, 26, 700, 701, 1700];
const JSON_TYPES = [114, 3802];
const INSTANT = 1184;

const MAX_CELL_CHARS = 300;
/** A table is aligned in memory, so a longer result continues in another table. */
const TABLE_ROWS = 1_000;

/** @param write returns false if the reader of the output has gone */
export function createPrinter(
  { format, spreadsheet, isTerminal }: {
    format: "table" | "csv" | "json";
    spreadsheet: boolean;
    isTerminal: boolean;
  },
  write: Write,
): Printer {
  if (format === "table") return tablePrinter(write);
  if (format === "json") return jsonPrinter(write);
  let isFirst = true;
  return {
    print: (fields, rows) => {
      const lines = rows.map((row) => row.map((value, column) => asText(value, fields[column])));
      const all = isFirst ? [fields.map(({ name }) => name), ...lines] : lines;
      const options = {
        record_delimiter: "windows",
        // Quotes also an empty text, which differs from a null, and a single line break.
        quoted_match: /^$|[\r\n]/,
        escape_formulas: spreadsheet,
      };
      isFirst = false;
      // No program reads what a terminal shows, and control characters could mislead a person.
      if (!isTerminal) return write(stringify(all, options));
      return write(
        all.map((line) => `${printable(stringify([line], { ...options, eof: false }))}\n`).join(""),
      );
    },
    end: () => {},
  };
}

function tablePrinter(write: Write): Printer {
  let columns: Column[] = [];
  const held: string[][] = [];
  let count = 0;
  const flush = () => write(`${formatTable(columns, held.splice(0))}\n`);
  return {
    print: (fields, rows) => {
      columns = fields.map(({ name, dataTypeID }) => {
        return { title: printable(name), align: NUMBERS.includes(dataTypeID) ? "right" : "left" };
      });
      held.push(...rows.map((row) => row.map((value, column) => asCell(asText(value, fields[column])))));
      count += rows.length;
      return held.length < TABLE_ROWS || flush();
    },
    end: () => {
      if (held.length > 0 || count === 0) flush();
      write(`(${count} ${count === 1 ? "row" : "rows"})\n`);
    },
  };
}

function asCell(text: string | null): string {
  if (text === null) return "null";
  if (text.length <= MAX_CELL_CHARS) return text;
  // Joined from its characters: a slice would keep the whole text in memory.
  return `${text.slice(0, MAX_CELL_CHARS).split("").join("")}...`;
}

function jsonPrinter(write: Write): Printer {
  let separator = "[\n";
  return {
    print: (fields, rows) => {
      const objects = rows.map((row) => {
        const members = fields.map((field, column) =>
          `${JSON.stringify(field.name)}:${asJson(row[column] ?? null, field)}`
        );
        return `{${printable(members.join())}}`;
      });
      if (objects.length === 0) return true;
      const text = separator + objects.join(",\n");
      separator = ",\n";
      return write(text);
    },
    end: () => void write(separator === "[\n" ? "[]\n" : "\n]\n"),
  };
}

function asJson(value: string | null, field: Field): string {
  if (value === null) return "null";
  if (field.dataTypeID === BOOLEAN) return value === "t" ? "true" : "false";
  // Not NaN and Infinity, which JSON does not have.
  if (NUMBERS.includes(field.dataTypeID) && /\d/.test(value)) return value;
  // JSON allows these characters only between its tokens. Escaped, they would not be JSON.
  if (JSON_TYPES.includes(field.dataTypeID)) return value.replace(/[\t\n\r]/g, " ");
  return JSON.stringify(asText(value, field));
}

/** Writes an instant in ISO 8601. The session's time zone is UTC. */
function asText(value: string | null, field: Field | undefined): string | null {
  if (field?.dataTypeID !== INSTANT || value === null) return value;
  return value.replace(/^(\S+) (\S+)\+00$/, "$1T$2Z");
}
