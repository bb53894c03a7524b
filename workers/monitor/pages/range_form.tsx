import type { Child } from "hono/jsx";
import type { Range } from "../view/view.ts";

interface RangeFormProps {
  readonly range: Range;
  readonly action: string;
  /** The form's other fields. */
  readonly children: Child;
}

/** The fields are in UTC, until the browser's script shows them in the viewer's zone and sends instants. */
export function RangeForm({ range, action, children }: RangeFormProps) {
  const field = (name: "from" | "to", title: string) => {
    const iso = new Date(range[name]).toISOString();
    return (
      <label>
        {title}{" "}
        <input
          type="datetime-local"
          name={name}
          step="1"
          value={iso.slice(0, 19)}
          data-instant={iso}
          required
        />
      </label>
    );
  };
  return (
    <form class="filter" action={action} data-range>
      {children}
      {field("from", "From")}
      {field("to", "To")}
      <button type="submit">Show</button>
    </form>
  );
}

/** @returns the parameters of a fixed range */
export function rangeQuery({ from, to }: Range): Record<"from" | "to", string> {
  return { from: new Date(from).toISOString(), to: new Date(to).toISOString() };
}
