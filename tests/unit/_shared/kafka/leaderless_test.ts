import { deepStrictEqual, match, strictEqual } from "node:assert";
import { kGetApi, metadataV12, Reader, Writer } from "@platformatic/kafka";
import { tolerateLeaderlessPartitions } from "../../../../workers/_shared/kafka/client_patches.ts";

const TOPIC_ID = "6f1c2b1e-0f0e-4a57-9d6c-1f0d6c8b7a11";
const LEADER_NOT_AVAILABLE = 5;
const TOPIC_AUTHORIZATION_FAILED = 29;

type Partition = { readonly code: number; readonly leader: number };

/** Encodes a response to a Metadata request. */
function encodeMetadata(partitions: readonly Partition[], topicCode: number): Reader {
  const writer = Writer.create().appendInt32(0).appendArray([1], (broker, id) => {
    broker.appendInt32(id).appendString("localhost").appendInt32(9092).appendString(null);
  });
  writer.appendString("cluster").appendInt32(1).appendArray(["t"], (topic, name) => {
    topic.appendInt16(topicCode).appendString(name).appendUUID(TOPIC_ID).appendBoolean(false);
    topic.appendArray([...partitions.entries()], (partition, [index, { code, leader }]) => {
      partition.appendInt16(code).appendInt32(index).appendInt32(leader).appendInt32(7);
      const node = (into: Writer, id: number) => into.appendInt32(id);
      for (let list = 0; list < 3; list++) partition.appendArray([1], node, true, false);
    });
    topic.appendInt32(0);
  });
  return Reader.from(writer.appendTaggedFields().buffer);
}

/** @returns the result of a metadata request of a patched client that receives this response */
function requestMetadata(partitions: readonly Partition[], topicCode = 0, name = "Metadata") {
  const api = Object.assign((...args: unknown[]) => {
    const done = args.at(-1) as (error: unknown, response?: unknown) => void;
    try {
      done(null, metadataV12.parseResponse(0, 3, 12, encodeMetadata(partitions, topicCode)));
    } catch (error) {
      done(error);
    }
  }, { key: 3, version: 12 });
  const client = {
    [kGetApi]: (_name: string, callback: (error: unknown, api: unknown) => void) => callback(null, api),
  };
  let result: { error: unknown; leaders: unknown } | undefined;
  const patched = tolerateLeaderlessPartitions(client as never) as unknown as typeof client;
  patched[kGetApi](name, (_error, found) => {
    const request = found as typeof api;
    strictEqual(request.version, 12, "the client reads the version");
    request("connection", ["t"], (error: unknown, response: ReturnType<typeof metadataV12.parseResponse>) => {
      result = { error, leaders: response?.topics[0]?.partitions.map(({ leaderId }) => leaderId) };
    });
  });
  return result ?? { error: "never answered", leaders: undefined };
}

const LEADERLESS = { code: LEADER_NOT_AVAILABLE, leader: -1 };

Deno.test("tolerateLeaderlessPartitions() lets the client use the partitions that have a leader", () => {
  deepStrictEqual(requestMetadata([{ code: 0, leader: 1 }, LEADERLESS, { code: 0, leader: 1 }]), {
    error: null,
    leaders: [1, -1, 1],
  });
  deepStrictEqual(requestMetadata([LEADERLESS]).leaders, [-1]);
});

Deno.test("tolerateLeaderlessPartitions() hides no other error of the topic, of a partition or of another request", () => {
  const failures = [
    requestMetadata([LEADERLESS, { code: TOPIC_AUTHORIZATION_FAILED, leader: -1 }]),
    requestMetadata([], LEADER_NOT_AVAILABLE),
    requestMetadata([LEADERLESS], TOPIC_AUTHORIZATION_FAILED),
    requestMetadata([LEADERLESS], 0, "Produce"),
  ];
  for (const { error, leaders } of failures) {
    match(String(error), /Received response with error/);
    strictEqual(leaders, undefined);
  }
});
