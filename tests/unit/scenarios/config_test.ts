import assert from "node:assert/strict";
import { SCENARIOS } from "../../../workers/scenarios/catalogue/mod.ts";
import { readConfig } from "../../../workers/scenarios/config.ts";

const ENV = { DATABASE_URL: "postgres://u@127.0.0.1:5432/d" };
const read = (...args: string[]) => {
  return readConfig(args, ENV, () => "", { all: SCENARIOS, newRunId: "new" });
};

Deno.test("readConfig() uses every scenario, 30 s and a new run id by default", () => {
  const config = read();
  assert.equal(config?.scenarios, SCENARIOS);
  assert.deepEqual([config?.timeoutMs, config?.runId], [30_000, "new"]);
});

Deno.test("readConfig() accepts --only several times and keeps the order of the catalogue", () => {
  const config = read("--only", "malformed", "--only", "duplicate", "--timeout", "2m", "--run", "a.b");
  assert.deepEqual(config?.scenarios.map(({ name }) => name), ["duplicate", "malformed"]);
  assert.deepEqual([config?.timeoutMs, config?.runId], [120_000, "a.b"]);
});

Deno.test("readConfig() refuses unknown scenarios and malformed values", () => {
  assert.throws(() => read("--only", "nope"), /--only: is "nope", expected one of normal, /);
  assert.throws(
    () => read("--timeout", "soon"),
    /--timeout: is "soon", expected a time such as 500ms, 30s or 2m/,
  );
  assert.throws(() => read("--run", "a b"), /--run: is "a b", expected 1 to 40 letters/);
});
