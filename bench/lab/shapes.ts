import type { Command } from "commander";
import { setting } from "../../workers/_shared/env.ts";
import { MAX_CUSTOMERS } from "./fleet.ts";

/** Determines how many readings of one batch change the same minute aggregate or latest reading. */
export interface Shape {
  readonly customers: number;
  readonly intervalSeconds: number;
}

function list({ min, max, unit }: { readonly min: number; readonly max: number; readonly unit: string }) {
  return setting({ expected: `integers from ${min} to ${max} (${unit}), separated by commas` }, (text) => {
    const values = text.split(",").map((item) => /^\d{1,15}$/.test(item) ? Number(item) : NaN);
    return values.every((value) => value >= min && value <= max) ? values : undefined;
  });
}

export const SHAPE_FLAGS = {
  customers: list({ min: 1, max: MAX_CUSTOMERS, unit: "customers" }),
  interval: list({ min: 1, max: 3_600, unit: "seconds between readings of a customer" }),
};

/** Adds the options of {@link SHAPE_FLAGS}. @param result what a command makes for each number, such as "a table" */
export function addShapeOptions(command: Command, result: string, intervals: string): Command {
  const each = `separated by commas; each number gets ${result}`;
  return command
    .option("--customers <list>", `numbers of customers, ${each}`, "1000,100000")
    .option("--interval <list>", `seconds between two readings of a customer, ${each}`, intervals);
}

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
