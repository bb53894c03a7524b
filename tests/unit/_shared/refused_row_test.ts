import { ok } from "node:assert";
import { isDataError, mayRepeatKey } from "../../../workers/_shared/postgres_errors.ts";

const answered = (code: string, fields: Record<string, string> = {}) =>
  Object.assign(new Error("refused"), { code, ...fields });
const IN_A_TRIGGER = { where: "PL/pgSQL function audit() line 1 at SQL statement\nCOPY heartbeats, line 1" };

Deno.test("isDataError() blames the values for what the row alone decides: nothing else may cost a record", () => {
  for (const code of ["22001", "22003", "22008", "22021"]) {
    ok(isDataError(answered(code, { where: "COPY heartbeats, line 1, column customer_id" })), code);
    ok(!isDataError(answered(code, IN_A_TRIGGER)), `${code} in a trigger`);
  }
  ok(isDataError(answered("23514", { constraint: "not_this" })));
  ok(!isDataError(answered("23514")), "no partition takes the row");
  // A type that was changed, a sequence that is used up, a column that nobody writes, other rows and tables.
  const schema = ["22P02", "22P03", "22P04", "2200H", "22023", "23502", "23503", "23505", "23P01", "P0001"];
  const others = ["08006", "0A000", "25006", "28P01", "40001", "40P01", "42501", "42P01", "53100", "53300"];
  for (const code of [...schema, ...others, "55P03", "57014", "57P01", "58030", "XX000", "ECONNRESET"]) {
    ok(!isDataError(answered(code, { constraint: "some" })), code);
  }
});

Deno.test("mayRepeatKey() holds for a unique index, whatever its name and without its columns", () => {
  ok(mayRepeatKey(answered("23505")));
  ok(!mayRepeatKey(answered("23514", { constraint: "some" })));
});
