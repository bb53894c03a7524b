import { deepStrictEqual, strictEqual, throws } from "node:assert";
import { customerParameters, rejectParameters } from "../../../workers/monitor/parameters.ts";

Deno.test("a range is at most 31 days, begins before it ends, and ends before the year 10000", () => {
  const day = 86_400_000;
  const of = (from: number | string, to: number | string) =>
    customerParameters({ id: "c-1", from: String(from), to: String(to) }).range;
  deepStrictEqual(of(0, 31 * day), { from: 0, to: 31 * day });
  deepStrictEqual(of("1969-12-31T00:00:00Z", 1), { from: -day, to: 1 });
  const wrong = (text: string) => ({ message: text });
  throws(
    () => of(5, 5),
    wrong(
      "from: is 1970-01-01T00:00:00.005Z, expected an instant before to, which is 1970-01-01T00:00:00.005Z",
    ),
  );
  throws(
    () => of(0, 31 * day + 1),
    wrong(
      "from: is 1970-01-01T00:00:00.000Z, expected an instant at most 31 days before to, which is 1970-02-01T00:00:00.001Z",
    ),
  );
  throws(
    () => of(0, ""),
    wrong("from: is 1970-01-01T00:00:00.000Z, expected an instant at most 31 days before the present"),
  );
  throws(
    () => of("", 5),
    wrong("from: is missing, expected an instant before to, which is 1970-01-01T00:00:00.005Z"),
  );
  throws(
    () => customerParameters({ id: "c-1", from: "1", last: "1h" }),
    wrong('last: is "1h" together with from or to, expected either last, or from and to'),
  );
  for (const instant of [NaN, Infinity, -1, 1e14, 1e18]) {
    throws(() => of(0, instant), /to: is ".*", expected an instant/);
  }
});

Deno.test("a reason may be one that only another version of the consumer knows", () => {
  for (const reason of ["invalid_json", "from_the_future"]) {
    strictEqual(rejectParameters({ reason }).filter.reason, reason);
  }
  for (const reason of ["Bad", "a b", "a-b", "<script>", "a".repeat(65)]) {
    throws(() => rejectParameters({ reason }), /reason: is ".*", expected a reason such as invalid_json$/);
  }
});
