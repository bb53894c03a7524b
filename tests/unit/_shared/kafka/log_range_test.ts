/** What is made of answers that leave something out. The client is a stand-in. */
import { deepStrictEqual, rejects } from "node:assert";
import { describeTopic, endOffsets } from "../../../../workers/_shared/kafka/topic.ts";

/** A client that is answered with these ends; the client's own array has a hole where none was given. */
const answering = (...ends: (bigint | undefined)[]) => {
  const offsets = Array<bigint>(ends.length);
  ends.forEach((end, partition) => end === undefined || (offsets[partition] = end));
  return { listOffsets: () => Promise.resolve(new Map([["t", offsets]])) } as never;
};

Deno.test("endOffsets() gives the end of each partition", async () => {
  deepStrictEqual(await endOffsets(answering(5n, 0n), "t", 2), [5, 0]);
});

Deno.test("endOffsets() takes no answer for a partition for no end: nothing would be left to read", async () => {
  for (const answer of [answering(), answering(5n), answering(5n, undefined), answering(undefined, 5n)]) {
    await rejects(endOffsets(answer, "t", 2), /no offset was given for partition [01] of t/);
  }
  await rejects(endOffsets(answering(5n, -1n), "t", 2), /no offset was given for partition 1/);
});

Deno.test("describeTopic() takes an answer without partitions for none, not for a topic that has none", async () => {
  const topics = new Map([["t", { id: "i", partitions: [] }]]);
  const client = { metadata: () => Promise.resolve({ topics, brokers: new Map() }) };
  await rejects(describeTopic(client as never, "t"), /no partition was given of topic t/);
});
