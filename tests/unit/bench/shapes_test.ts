import { deepStrictEqual, throws } from "node:assert";
import { SHAPE_FLAGS, shapesOf, titleOf } from "../../../bench/lab/shapes.ts";
import { parseSettings } from "../../../workers/_shared/env.ts";

Deno.test("shapesOf() combines each number of customers with each interval", () => {
  const flags = parseSettings("bench", SHAPE_FLAGS, { customers: "1000,100000", interval: "5,60" });
  deepStrictEqual(shapesOf(flags).map(titleOf), [
    "1,000 customers, each every 5 s",
    "100,000 customers, each every 5 s",
    "1,000 customers, each every 60 s",
    "100,000 customers, each every 60 s",
  ]);
});

Deno.test("parseSettings() refuses a list with a value that is not a number", () => {
  for (const customers of ["1000,", "many", "0", "1000, 2000", "1e3", "-1", "99999999"]) {
    throws(
      () => parseSettings("bench", SHAPE_FLAGS, { customers, interval: "5" }),
      /separated by commas/,
      customers,
    );
  }
});
