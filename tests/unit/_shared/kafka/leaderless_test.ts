import { deepStrictEqual, match, strictEqual } from "node:assert";
import { kGetApi, metadataV12, Reader, Writer } from "@platformatic/kafka";
import { tolerateLeaderlessPartitions } from "../../../../workers/_shared/kafka/client_patches.ts";

const TOPIC_ID = "6f1c2b1e-0f0e-4a57-9d6c-1f0d6c8b7a11";
const LEADER_NOT_AVAILABLE = 5;
const TOPIC_AUTHORIZATION_FAILED = 29;

type Partition = { readonly code: number; readonly leader: number };

/** A broker's answer to Metadata, as the protocol lays it out. */
function written(partitions: readonly Partition[], topicCode: number): Reader {
  const writer = Writer.create().appendInt32(0).appendArray([1], (broker, id) => {
    broker.appendInt32(id).appendString("localhost").appendInt32(9092).appendString(null);
  });
  writer.appendString("cluster").appendInt32(1).appendArray(["t"], (topic, name) => {
    topic.appendInt16(topicCode).appendString(name).appendUUID(TOPIC_ID).appendBoolean(false);
    topic.appendArray([...partitions.entries()], (one, [index, { code, leader }]) => {
      one.appendInt16(code).appendInt32(index).appendInt32(leader).appendInt32(7);
      const node = (into: Writer, id: number) => into.appendInt32(id);
      for (let list = 0; list < 3; list++) one.appendArray([1], node, true, false);
    });
    topic.appendInt32(0);
  });
  return Reader.from(writer.appendTaggedFields().buffer);
}

/** What a client is told that asks for metadata and is answered so. */
function asked(partitions: readonly Partition[], topicCode = 0, name = "Metadata") {
  const api = Object.assign((...args: unknown[]) => {
    const done = args.at(-1) as (error: unknown, response?: unknown) => void;
    try {
      done(null, metadataV12.parseResponse(0, 3, 12, written(partitions, topicCode)));
    } catch (error) {
      done(error);
    }
  }, { key: 3, version: 12 });
  const client = {
    [kGetApi]: (_name: string, callback: (error: unknown, api: unknown) => void) => callback(null, api),
  };
  let told: { error: unknown; leaders: unknown } | undefined;
  const bearing = tolerateLeaderlessPartitions(client as never) as unknown as typeof client;
  bearing[kGetApi](name, (_error, found) => {
    const ask = found as typeof api;
    strictEqual(ask.version, 12, "the client looks at the version");
    ask("connection", ["t"], (error: unknown, response: ReturnType<typeof metadataV12.parseResponse>) => {
      told = { error, leaders: response?.topics[0]?.partitions.map(({ leaderId }) => leaderId) };
    });
  });
  return told ?? { error: "never answered", leaders: undefined };
}

const LEADERLESS = { code: LEADER_NOT_AVAILABLE, leader: -1 };

Deno.test("bearLeaderless() has the client go on with the partitions that have a leader", () => {
  deepStrictEqual(asked([{ code: 0, leader: 1 }, LEADERLESS, { code: 0, leader: 1 }]), {
    error: null,
    leaders: [1, -1, 1],
  });
  deepStrictEqual(asked([LEADERLESS]).leaders, [-1]);
});

Deno.test("bearLeaderless() hides nothing else: what is wrong with the topic, with a partition, or with another request", () => {
  const failures = [
    asked([LEADERLESS, { code: TOPIC_AUTHORIZATION_FAILED, leader: -1 }]),
    asked([], LEADER_NOT_AVAILABLE),
    asked([LEADERLESS], TOPIC_AUTHORIZATION_FAILED),
    asked([LEADERLESS], 0, "Produce"),
  ];
  for (const { error, leaders } of failures) {
    match(String(error), /Received response with error/);
    strictEqual(leaders, undefined);
  }
});
