/** The shapes that a figure is measured for: how many customers report, and how often each of them. */
import { setting } from "../../workers/_shared/env.ts";
import { MOST_CUSTOMERS } from "./fleet.ts";

export interface Shape {
  readonly customers: number;
  readonly intervalSeconds: number;
}

/** Integers separated by commas. */
function list({ min, max, unit }: { readonly min: number; readonly max: number; readonly unit: string }) {
  return setting({ expected: `integers from ${min} to ${max} (${unit}), separated by commas` }, (text) => {
    const values = text.split(",").map((one) => /^\d{1,15}$/.test(one) ? Number(one) : NaN);
    return values.every((value) => value >= min && value <= max) ? values : undefined;
  });
}

/** The flags that say the shapes, for `parseSettings`. */
export const SHAPE_FLAGS = {
  customers: list({ min: 1, max: MOST_CUSTOMERS, unit: "customers" }),
  interval: list({ min: 1, max: 3_600, unit: "seconds between readings of a customer" }),
};

export function shapesOf(
  flags: { readonly customers: readonly number[]; readonly interval: readonly number[] },
) {
  return flags.interval.flatMap((intervalSeconds): Shape[] =>
    flags.customers.map((customers) => ({ customers, intervalSeconds }))
  );
}

export function titleOf({ customers, intervalSeconds }: Shape): string {
  return `${customers.toLocaleString("en")} customers, each every ${intervalSeconds} s`;
}
