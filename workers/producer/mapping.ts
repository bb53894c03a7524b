/** Which column of a recording becomes which field of a record. */

export const FIELDS = ["customer_id", "timestamp", "heart_rate"] as const;
export type Field = typeof FIELDS[number];

/** Column by field. */
export type Mapping = Readonly<Record<Field, string>>;

/**
 * Reads `customer_id=Id,timestamp=Time,heart_rate=Value`; a field that is left out is read from the column of its name.
 *
 * @returns undefined when a field is unknown, given twice or without a column
 */
export function parseMapping(text: string): Mapping | undefined {
  const mapping = new Map<Field, string>();
  for (const pair of text.split(",")) {
    const [name = "", ...rest] = pair.split("=");
    const field = FIELDS.find((one) => one === name.trim());
    const column = rest.join("=").trim();
    if (field === undefined || column === "" || mapping.has(field)) return undefined;
    mapping.set(field, column);
  }
  const column = (field: Field) => mapping.get(field) ?? field;
  return {
    customer_id: column("customer_id"),
    timestamp: column("timestamp"),
    heart_rate: column("heart_rate"),
  };
}
