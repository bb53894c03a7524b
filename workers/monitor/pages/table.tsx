import type { Child } from "hono/jsx";

interface TableProps {
  /** What the rows are, for screen readers. The heading above the table tells everybody else. */
  readonly caption: string;
  /** Titles. One that ends in "#" stands above numbers. */
  readonly columns: readonly string[];
  readonly rows: readonly (readonly Child[])[];
  /** The sums, as the last row. */
  readonly total?: readonly Child[];
}

/**
 * A table whose rows are stacked on a narrow screen. The roles repeat what the elements mean, because a browser forgets
 * it when the style changes `display`.
 */
export function Table({ caption, columns, rows, total }: TableProps) {
  const titles = columns.map((column) => column.replace("#", ""));
  const classes = columns.map((column) => column.endsWith("#") ? "number" : undefined);
  const row = ([first, ...others]: readonly Child[]) => (
    <tr role="row">
      <th role="rowheader" scope="row">{first}</th>
      {others.map((cell, at) => (
        <td role="cell" class={classes[at + 1]} data-label={titles[at + 1]}>
          <div>{cell}</div>
        </td>
      ))}
    </tr>
  );
  return (
    <div class={columns.length > 4 ? "table wide" : "table"}>
      <table role="table">
        <caption class="visually-hidden">{caption}</caption>
        <thead role="rowgroup">
          <tr role="row">
            {titles.map((title, at) => <th role="columnheader" scope="col" class={classes[at]}>{title}</th>)}
          </tr>
        </thead>
        <tbody role="rowgroup">{rows.map(row)}</tbody>
        {total && <tfoot role="rowgroup">{row(total)}</tfoot>}
      </table>
    </div>
  );
}
