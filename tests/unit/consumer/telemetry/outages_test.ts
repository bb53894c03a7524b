import { deepStrictEqual } from "node:assert";
import { Registry } from "prom-client";
import { PipelineError } from "../../../../workers/_shared/errors.ts";
import { HealthState } from "../../../../workers/consumer/health/health_state.ts";
import { consumerMetrics } from "../../../../workers/consumer/telemetry/metrics.ts";
import { Outages } from "../../../../workers/consumer/telemetry/outages.ts";

const failure = (cause: Error) => new PipelineError("kafka_unavailable", "Cannot join", { cause });
/** Creates an error response of the broker, which Kafka's client reports as the cause of its own error. */
const errorResponse = (apiId: string) => failure(Object.assign(new Error(apiId), { apiId }));

function group() {
  const levels: string[] = [];
  let now = 0;
  const record = (level: string) => () => void levels.push(level);
  const log = {
    debug: record("debug"),
    info: record("info"),
    warning: record("warning"),
    error: record("error"),
  };
  const outages = new Outages(log, consumerMetrics(new Registry()), new HealthState(), () => now);
  return { levels, outages, pass: (seconds: number) => void (now += seconds * 1_000) };
}

Deno.test("a group coordinator that is not available yet is logged as an error only after 30 s", () => {
  const { levels, outages, pass } = group();
  for (const id of ["NOT_COORDINATOR", "COORDINATOR_NOT_AVAILABLE", "COORDINATOR_LOAD_IN_PROGRESS"]) {
    outages.groupFailed(errorResponse(id));
    pass(9);
  }
  outages.works("group", "group");
  deepStrictEqual(levels.splice(0), ["debug", "debug", "debug"]);

  outages.groupFailed(errorResponse("NOT_COORDINATOR"));
  pass(31);
  outages.groupFailed(errorResponse("NOT_COORDINATOR"));
  outages.works("group", "group");
  deepStrictEqual(levels, ["debug", "error", "info"]);
});

Deno.test("each other failure of the group is logged as an error at once", () => {
  for (
    const error of [errorResponse("GROUP_AUTHORIZATION_FAILED"), failure(new Error("Connection closed"))]
  ) {
    const { levels, outages } = group();
    outages.groupFailed(error);
    deepStrictEqual(levels, ["error"]);
  }
});
