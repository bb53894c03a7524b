import { deepStrictEqual } from "node:assert";
import { Registry } from "prom-client";
import { PipelineError } from "../../../../workers/_shared/errors.ts";
import { HealthState } from "../../../../workers/consumer/health/health_state.ts";
import { consumerMetrics } from "../../../../workers/consumer/telemetry/metrics.ts";
import { Outages } from "../../../../workers/consumer/telemetry/outages.ts";

const failure = (cause: Error) => new PipelineError("kafka_unavailable", "Cannot join", { cause });
/** As the client says it, below an error of its own. */
const answered = (apiId: string) => failure(Object.assign(new Error(apiId), { apiId }));

function group() {
  const said: string[] = [];
  let now = 0;
  const at = (level: string) => () => void said.push(level);
  const log = { debug: at("debug"), info: at("info"), warning: at("warning"), error: at("error") };
  const outages = new Outages(log, consumerMetrics(new Registry()), new HealthState(), () => now);
  return { said, outages, pass: (seconds: number) => void (now += seconds * 1_000) };
}

Deno.test("a coordinator that is not there yet is no error for the first seconds, and one when it does not come", () => {
  const { said, outages, pass } = group();
  for (const id of ["NOT_COORDINATOR", "COORDINATOR_NOT_AVAILABLE", "COORDINATOR_LOAD_IN_PROGRESS"]) {
    outages.groupFailed(answered(id));
    pass(9);
  }
  outages.works("group", "group");
  deepStrictEqual(said.splice(0), ["debug", "debug", "debug"]);

  outages.groupFailed(answered("NOT_COORDINATOR"));
  pass(31);
  outages.groupFailed(answered("NOT_COORDINATOR"));
  outages.works("group", "group");
  deepStrictEqual(said, ["debug", "error", "info"]);
});

Deno.test("any other failure of the group is an error at once", () => {
  for (const one of [answered("GROUP_AUTHORIZATION_FAILED"), failure(new Error("Connection closed"))]) {
    const { said, outages } = group();
    outages.groupFailed(one);
    deepStrictEqual(said, ["error"]);
  }
});
