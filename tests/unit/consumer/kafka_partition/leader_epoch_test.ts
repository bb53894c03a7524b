import { deepStrictEqual, match, strictEqual } from "node:assert";
import type { TopicDescription } from "../../../../workers/_shared/kafka/topic.ts";
import {
  requiredEpoch,
  resolveDivergence,
} from "../../../../workers/consumer/kafka_partition/leader_epoch.ts";

Deno.test("requiredEpoch() never asks a leader older than the one whose records were read", () => {
  const topic = (epoch: number): TopicDescription => {
    return { id: "i", leaders: [1], leaderEpochs: [epoch], brokers: new Map() };
  };
  strictEqual(requiredEpoch(topic(6), 0, 4), 6);
  strictEqual(requiredEpoch(topic(4), 0, 6), 6);
  strictEqual(requiredEpoch(topic(4), 0, -1), 4);
  strictEqual(requiredEpoch(topic(-1), 0, 6), -1, "a cluster that knows no epochs is asked for none");
  strictEqual(requiredEpoch(topic(4), 1, 2), -1, "a partition that is not known yet");
});

Deno.test("resolveDivergence() holds the partition by default, and with earliest reads the log anew", () => {
  const diverged = { epoch: 3, endOffset: 12 };
  const held = resolveDivergence(15, diverged, { earliest: 2, end: 40 }, "fail");
  match(
    held.kind === "hold" ? held.reason : "",
    /offset 15 is stored, but the log was cut.*up to 40 \(those of leader epoch 3 end at 12\).*=earliest/,
  );
  deepStrictEqual(
    resolveDivergence(15, diverged, { earliest: 2, end: 40 }, "earliest"),
    { kind: "restart", from: 2 },
  );
});
