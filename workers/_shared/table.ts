import CliTable from "cli-table3";
import { printable } from "./output.ts";

export type Column = Readonly<{ title: string; align?: "left" | "right" }>;

const SIDES = ["top", "bottom", "left", "right", "mid"];
const FRAME = SIDES.flatMap((side) => ["", "-left", "-mid", "-right"].map((corner) => side + corner));
const NO_FRAME = { ...Object.fromEntries(FRAME.map((part) => [part, ""])), middle: "  " };

/** Aligned columns as psql prints them, without colours and without a final line break. */
export function formatTable(columns: readonly Column[], rows: readonly (readonly string[])[]): string {
  const table = new CliTable({
    head: columns.map(({ title }) => title),
    colAligns: columns.map(({ align = "left" }) => align),
    chars: NO_FRAME,
    style: { "head": [], "border": [], "padding-left": 0, "padding-right": 0, "compact": true },
  });
  table.push(...rows.map((row) => row.map(printable)));
  return table.toString().split("\n").map((line) => line.trimEnd()).join("\n");
}
