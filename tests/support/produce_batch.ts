/** Publishes a record batch byte by byte as it is given, such as no client writes it. */
import { Buffer } from "node:buffer";
import { Sender } from "../../workers/_shared/kafka/sender.ts";
import { withRightChecksum } from "./record_batch.ts";

const HEADER_BYTES = 61;

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
  const options = { clientId: "heartbeat-test", bootstrapBrokers: servers.split(",") };
  await using sender = new Sender({ topic, options });
  const [place] = await sender.sendBatches([[partition, batch]]);
  return Number(place?.firstOffset);
}
