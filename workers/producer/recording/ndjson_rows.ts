import { Buffer, isUtf8 } from "node:buffer";
import { mayLosePrecision, numberSource } from "../../_shared/record/json_number.ts";
import { MAX_ROW_BYTES } from "./csv_rows.ts";
import { type BadRow, type Field, type Mapping, NumberText, quote, type Row } from "./row.ts";

const NEWLINE = 0x0a;

export async function* ndjsonRows(
  chunks: AsyncIterable<Uint8Array>,
  mapping: Mapping,
): AsyncGenerator<readonly (Row | BadRow)[]> {
  let line = 0;
  for await (const texts of linesOf(chunks)) yield texts.flatMap((text) => readLine(text, ++line, mapping));
}

/** Yields lines without their ends, and only the beginning of a line that is too long. */
async function* linesOf(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<readonly Buffer[]> {
  let rest: Buffer[] = [];
  let restBytes = 0;
  let oversized = false;
  for await (const chunk of chunks) {
    const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    const lines: Buffer[] = [];
    let start = 0;
    for (let end = bytes.indexOf(NEWLINE); end >= 0; end = bytes.indexOf(NEWLINE, start)) {
      const part = bytes.subarray(start, end);
      if (!oversized) lines.push(rest.length === 0 ? part : Buffer.concat([...rest, part]));
      [rest, restBytes, oversized] = [[], 0, false];
      start = end + 1;
    }
    if (!oversized && start < bytes.length) {
      rest.push(bytes.subarray(start));
      restBytes += bytes.length - start;
      if (restBytes > MAX_ROW_BYTES) {
        lines.push(Buffer.concat(rest));
        [rest, oversized] = [[], true];
      }
    }
    yield lines;
  }
  if (rest.length > 0) yield [Buffer.concat(rest)];
}

/** @returns an empty array for an empty line */
function readLine(bytes: Buffer, line: number, mapping: Mapping): readonly (Row | BadRow)[] {
  const bad = (reason: BadRow["reason"], problem: string): [BadRow] => [{ line, reason, problem }];
  if (bytes.length > MAX_ROW_BYTES) {
    return bad("row_too_long", `has more than ${MAX_ROW_BYTES} bytes, expected a JSON object`);
  }
  const text = bytes.toString();
  // This is cheaper than `isUtf8` for each line: invalid bytes always become a replacement character.
  if (text.includes("\uFFFD") && !isUtf8(bytes)) {
    return bad("invalid_utf8", "is not valid UTF-8, expected a JSON object in UTF-8");
  }
  if (text.trim() === "") return [];
  const problem = `is ${quote(JSON.stringify(text.slice(0, 80)))}, expected a JSON object`;
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return bad("invalid_json", problem);
  }
  if (typeof json !== "object" || json === null || Array.isArray(json)) return bad("not_an_object", problem);
  const members = json as Readonly<Record<string, unknown>>;
  const mayRound = mayLosePrecision(bytes);
  const cell = (field: Field): unknown => {
    const name = mapping[field];
    const value = Object.hasOwn(members, name) ? members[name] : undefined;
    if (typeof value !== "number") return value;
    // `JSON.parse` keeps the value of all other numbers. It makes 0 of -0 and of 1e-400.
    const source = mayRound || value === 0 ? numberSource(text, name) : undefined;
    return new NumberText(source ?? String(value));
  };
  return [{
    line,
    cells: { customer_id: cell("customer_id"), timestamp: cell("timestamp"), heart_rate: cell("heart_rate") },
  }];
}
