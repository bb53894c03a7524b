import { deepStrictEqual, match, ok, strictEqual } from "node:assert";
import {
  databaseFailure,
  isDataError,
  isServerUnavailable,
  isTimeout,
  isUniqueViolation,
  ResponseTimeout,
  sqlState,
} from "../../../workers/_shared/postgres_errors.ts";
import { sessionLimits } from "../../../workers/_shared/postgres_session.ts";

const serverError = (code: string, fields: Record<string, string> = {}) =>
  Object.assign(new Error("refused"), { code, ...fields });

Deno.test("sqlState() returns the SQLSTATE of PostgreSQL and never a network error code", () => {
  strictEqual(sqlState(serverError("23505")), "23505");
  strictEqual(sqlState(serverError("P0001")), "P0001");
  strictEqual(sqlState(new Error("outer", { cause: serverError("57P01") })), "57P01");
  for (const code of ["ECONNREFUSED", "EPIPE", "ETIMEDOUT", "E2BIG", ""]) {
    strictEqual(sqlState(serverError(code)), undefined, code);
  }
  strictEqual(sqlState(new Error("Query read timeout")), undefined);
});

Deno.test("isTimeout() is true if the server or the client ended a query for its duration, and false for a lock or an idle client", () => {
  for (const code of ["57014", "25P04"]) ok(isTimeout(serverError(code)), code);
  for (const cause of [new Error("Query read timeout"), new ResponseTimeout("another message")]) {
    ok(isTimeout(new Error("outer", { cause })), cause.message);
  }
  for (const code of ["55P03", "25P03", "40P01", "57P01", "ECONNRESET"]) {
    ok(!isTimeout(serverError(code)), code);
  }
});

Deno.test("isServerUnavailable() is true if the server can serve no client, and false if it refuses this client or its data", () => {
  for (const code of ["08006", "25006", "53100", "53300", "57P01", "57P03", "58030"]) {
    ok(isServerUnavailable(serverError(code)), code);
  }
  for (const code of ["22001", "23505", "25P02", "28P01", "40P01", "42501", "42P01", "57014", "ECONNRESET"]) {
    ok(!isServerUnavailable(serverError(code)), code);
  }
});

Deno.test("sessionLimits() lets PostgreSQL end the transaction of a frozen owner before the group reassigns its partitions", () => {
  for (const sessionTimeoutMs of [6_000, 30_000, 300_000]) {
    const limits = sessionLimits(sessionTimeoutMs);
    for (const [name, value] of Object.entries(limits)) ok(value > 0 && value < sessionTimeoutMs * 0.7, name);
    ok(limits.lockMs < limits.statementMs && limits.statementMs < limits.transactionMs);
  }
  deepStrictEqual(sessionLimits(30_000).transactionMs, 19_500);
});

Deno.test("databaseFailure() names the server, the SQLSTATE and the operator's next step", () => {
  const failure = databaseFailure("write a batch", "db:5432/heartbeats", serverError("42501"));
  strictEqual(failure.code, "database_refused");
  strictEqual(
    failure.message,
    "Cannot write a batch at PostgreSQL db:5432/heartbeats: refused (SQLSTATE 42501); " +
      "grant the missing right to the user in DATABASE_URL",
  );
  const unavailable = databaseFailure("write a batch", "db:5432/heartbeats", serverError("ECONNREFUSED"));
  strictEqual(unavailable.code, "database_unavailable");
  match(unavailable.message, /: refused; check that the server runs there \(DATABASE_URL\)$/);
});

Deno.test("databaseFailure() tells the operator to use pool_mode=session if a prepared statement is missing or already exists", () => {
  for (const state of ["42P05", "26000"]) {
    const { message } = databaseFailure("write a batch", "db:5432/heartbeats", serverError(state));
    match(message, /use pool_mode=session/);
  }
});

const IN_A_TRIGGER = { where: "PL/pgSQL function audit() line 1 at SQL statement\nCOPY heartbeats, line 1" };

Deno.test("isDataError() is true only for errors that the values of the row alone cause", () => {
  for (const code of ["22001", "22003", "22008", "22021"]) {
    ok(isDataError(serverError(code, { where: "COPY heartbeats, line 1, column customer_id" })), code);
    ok(!isDataError(serverError(code, IN_A_TRIGGER)), `${code} in a trigger`);
  }
  ok(isDataError(serverError("23514", { constraint: "not_this" })));
  ok(!isDataError(serverError("23514")), "no day partition takes the row");
  // The schema or other rows cause these errors: a column with another type, an exhausted sequence, a column that the
  // consumer does not fill, another table.
  const schema = ["22P02", "22P03", "22P04", "2200H", "22023", "23502", "23503", "23505", "23P01", "P0001"];
  const others = ["08006", "0A000", "25006", "28P01", "40001", "40P01", "42501", "42P01", "53100", "53300"];
  for (const code of [...schema, ...others, "55P03", "57014", "57P01", "58030", "XX000", "ECONNRESET"]) {
    ok(!isDataError(serverError(code, { constraint: "some" })), code);
  }
});

Deno.test("isUniqueViolation() is true for a unique index of any name", () => {
  ok(isUniqueViolation(serverError("23505")));
  ok(!isUniqueViolation(serverError("23514", { constraint: "some" })));
});
