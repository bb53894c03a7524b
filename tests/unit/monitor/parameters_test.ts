import { deepStrictEqual, throws } from "node:assert";
import { customerParameters } from "../../../workers/monitor/parameters.ts";

Deno.test("a range is at most 31 days, begins before it ends, and ends before the year 10000", () => {
  const day = 86_400_000;
  const of = (from: number | string, to: number | string) =>
    customerParameters({ id: "c-1", from: String(from), to: String(to) }).range;
  deepStrictEqual(of(0, 31 * day), { from: 0, to: 31 * day });
  deepStrictEqual(of("1969-12-31T00:00:00Z", 1), { from: -day, to: 1 });
  throws(() => of(5, 5), /The range ends before it begins, expected a beginning before its end\./);
  throws(() => of(0, 32 * day), /The range has 32 days, expected at most 31\./);
  for (const instant of [NaN, Infinity, -1, 1e14, 1e18]) {
    throws(() => of(0, instant), /to: is ".*", expected an instant/);
  }
});
