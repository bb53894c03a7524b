import { strictEqual } from "node:assert";
import { describeError, findInCauses, PipelineError } from "../../../workers/_shared/errors.ts";

Deno.test("describeError() joins the message of an error and those of its causes in one line", () => {
  const cause = new Error("connection refused", { cause: new Error("ECONNREFUSED 127.0.0.1:9.") });
  strictEqual(
    describeError(new Error("Cannot connect.", { cause })),
    "Cannot connect: connection refused: ECONNREFUSED 127.0.0.1:9",
  );
});

Deno.test("describeError() describes an AggregateError by its last error", () => {
  const tries = new AggregateError([new Error("first"), new Error("last")], "All tries failed.");
  strictEqual(describeError(tries), "All tries failed: last");
});

Deno.test("describeError() leaves out repeated text and ends when causes form a loop", () => {
  strictEqual(describeError(new Error("broken pipe", { cause: new Error("pipe") })), "broken pipe");
  const loop = new Error("round");
  loop.cause = loop;
  strictEqual(describeError(loop), "round");
});

Deno.test("describeError() describes values that are not errors and errors without a message", () => {
  strictEqual(describeError("a text"), "a text");
  strictEqual(describeError(new TypeError()), "TypeError");
  strictEqual(describeError(undefined), "");
});

Deno.test("findInCauses() finds the first value of a property, through causes and aggregates", () => {
  const inner = Object.assign(new Error("inner"), { code: "57P01" });
  strictEqual(findInCauses(new Error("outer", { cause: inner }), "code"), "57P01");
  strictEqual(findInCauses(new AggregateError([new Error("other"), inner]), "code"), "57P01");
  strictEqual(findInCauses(new Error("outer"), "code"), undefined);
  strictEqual(findInCauses("text", "code"), undefined);
});

Deno.test("a PipelineError is not retriable by default", () => {
  strictEqual(new PipelineError("stuck", "Cannot go on").retriable, false);
  strictEqual(new PipelineError("kafka_unavailable", "Cannot", { retriable: true }).retriable, true);
});
