/** Publishes a record batch byte by byte as it is given, such as no client writes it. */
import { Buffer } from "node:buffer";
import { type API, Base, createAPI, produceV9, Writer } from "@platformatic/kafka";
import { describeTopic } from "../../workers/_shared/kafka/topic.ts";
import { withRightChecksum } from "./record_batch.ts";

const PRODUCE = 0;
const HEADER_BYTES = 61;

/** What is read of the answer. */
interface Answer {
  readonly responses: readonly { readonly partitionResponses: readonly { readonly baseOffset: bigint }[] }[];
}

type Produce = API<[topic: string, partition: number, batch: Buffer], Answer>;
const produce: Produce = createAPI(PRODUCE, 9, createRequest, produceV9.parseResponse);

/** Layout: https://kafka.apache.org/protocol#The_Messages_Produce */
function createRequest(topic: string, partition: number, batch: Buffer): Writer {
  return Writer.create().appendString(null).appendInt16(-1).appendInt32(5_000)
    .appendArray([topic], (topics, name) => {
      topics.appendString(name).appendArray([partition], (partitions, index) => {
        partitions.appendInt32(index).appendUnsignedVarInt(batch.length + 1).append(batch);
      });
    })
    .appendTaggedFields();
}

/** The records of a batch that is not compressed, compressed by hand, of now: Kafka soon drops what is old. */
export function compressedBy(batch: Buffer, bitmask: number, compress: (plain: Buffer) => Buffer): Buffer {
  const whole = Buffer.concat([batch.subarray(0, HEADER_BYTES), compress(batch.subarray(HEADER_BYTES))]);
  whole.writeInt32BE(whole.length - 12, 8);
  whole.writeInt16BE(whole.readInt16BE(21) | bitmask, 21);
  for (const at of [27, 35]) whole.writeBigInt64BE(BigInt(Date.now()), at);
  return withRightChecksum(whole);
}

/** @returns the offset of its first record */
export async function produceBatch(
  servers: string,
  topic: string,
  partition: number,
  batch: Buffer,
): Promise<number> {
  const client = new Base({ clientId: "heartbeat-test", bootstrapBrokers: servers.split(",") });
  try {
    const known = await describeTopic(client, topic);
    const leader = known?.brokers.get(known.leaders[partition] ?? -1);
    if (leader === undefined) throw new Error(`nobody leads partition ${partition}`);
    const answer = await produce.async(await client.connections.get(leader), topic, partition, batch);
    return Number(answer.responses[0]?.partitionResponses[0]?.baseOffset);
  } finally {
    await client.close();
  }
}
