import { deepStrictEqual } from "node:assert";
import { groupTelemetry } from "../../../../workers/consumer/telemetry/group_telemetry.ts";

/** As the client says it, below an error of its own. */
const answered = (apiId: string) =>
  new Error("Cannot join", { cause: Object.assign(new Error(apiId), { apiId }) });

function group() {
  const said: string[] = [];
  let now = 0;
  const telemetry = groupTelemetry(
    { debug: () => void said.push("debug") },
    { failed: () => void said.push("error"), works: () => void said.push("works") },
    () => now,
  );
  return { said, ...telemetry, pass: (seconds: number) => void (now += seconds * 1_000) };
}

Deno.test("a coordinator that is not there yet is no error for the first seconds, and one when it does not come", () => {
  const { said, groupFailed, groupWorks, pass } = group();
  for (const id of ["NOT_COORDINATOR", "COORDINATOR_NOT_AVAILABLE", "COORDINATOR_LOAD_IN_PROGRESS"]) {
    groupFailed(answered(id));
    pass(9);
  }
  groupWorks();
  deepStrictEqual(said.splice(0), ["debug", "debug", "debug", "works"]);

  groupFailed(answered("NOT_COORDINATOR"));
  pass(31);
  groupFailed(answered("NOT_COORDINATOR"));
  deepStrictEqual(said, ["debug", "error"]);
});

Deno.test("any other failure of the group is an error at once", () => {
  const { said, groupFailed } = group();
  groupFailed(answered("GROUP_AUTHORIZATION_FAILED"));
  groupFailed(new Error("Connection closed"));
  deepStrictEqual(said, ["error", "error"]);
});
