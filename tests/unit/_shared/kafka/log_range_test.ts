import { deepStrictEqual, rejects } from "node:assert";
import {
  describeTopic,
  knownLastStableOffsets,
  lastStableOffsets,
} from "../../../../workers/_shared/kafka/topic.ts";

/** Creates a client that returns these offsets. As with the real client, its array has a hole for an undefined offset. */
const clientReturning = (...ends: (bigint | undefined)[]) => {
  const offsets = Array<bigint>(ends.length);
  ends.forEach((end, partition) => end === undefined || (offsets[partition] = end));
  return { listOffsets: () => Promise.resolve(new Map([["t", offsets]])) } as never;
};

Deno.test("lastStableOffsets() returns the offset of each partition", async () => {
  deepStrictEqual(await lastStableOffsets(clientReturning(5n, 0n), "t", 2), [5, 0]);
});

Deno.test("lastStableOffsets() throws if the broker gives no offset for a partition", async () => {
  for (
    const answer of [
      clientReturning(),
      clientReturning(5n),
      clientReturning(5n, undefined),
      clientReturning(undefined, 5n),
    ]
  ) {
    await rejects(lastStableOffsets(answer, "t", 2), /no offset was given for partition [01] of t/);
  }
  await rejects(lastStableOffsets(clientReturning(5n, -1n), "t", 2), /no offset was given for partition 1/);
});

Deno.test("knownLastStableOffsets() asks each leader once, and returns null if a leader is missing, fails or does not answer", async () => {
  const asked: number[][] = [];
  const answers = new Map([[0, Promise.resolve(new Map([["t", [7n, -1n, 9n]]]))], [
    3,
    Promise.reject(new Error()),
  ]]);
  const client = {
    listOffsets: ({ partitions: { t = [] } = {} }: { partitions?: Record<string, number[]> }) => {
      asked.push(t);
      return answers.get(t[0] ?? -1) ?? new Promise(() => {});
    },
  };
  const topic = { name: "t", leaders: [1, -1, 1, 2, 3] };
  const until = { withinMs: 1, signal: new AbortController().signal };
  deepStrictEqual(await knownLastStableOffsets(client as never, topic, [0, 1, 2, 3, 4, 5], until), [
    7,
    null,
    9,
    null,
    null,
    null,
  ]);
  deepStrictEqual(asked, [[0, 2], [3], [4]]);
  deepStrictEqual(await knownLastStableOffsets(client as never, topic, [], until), []);
});

Deno.test("describeTopic() throws if the broker names no partitions of the topic", async () => {
  const topics = new Map([["t", { id: "i", partitions: [] }]]);
  const client = { metadata: () => Promise.resolve({ topics, brokers: new Map() }) };
  await rejects(describeTopic(client as never, "t"), /no partition was given of topic t/);
});
