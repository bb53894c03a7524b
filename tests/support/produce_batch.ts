import { Buffer } from "node:buffer";
import { seal } from "../../workers/_shared/kafka/batch_writer.ts";
import { Sender } from "../../workers/_shared/kafka/sender.ts";

const HEADER_BYTES = 61;
const ATTRIBUTES_AT = 21;
const CODEC_NUMBERS = { snappy: 2, lz4: 3 };

/** Compresses the records of an uncompressed batch. `compress` may use forms that no library writes. */
export function compressedBy(
  batch: Buffer,
  codec: keyof typeof CODEC_NUMBERS,
  compress: (plain: Buffer) => Buffer,
): Buffer {
  const whole = Buffer.concat([batch.subarray(0, HEADER_BYTES), compress(batch.subarray(HEADER_BYTES))]);
  whole.writeInt16BE(whole.readInt16BE(ATTRIBUTES_AT) | CODEC_NUMBERS[codec], ATTRIBUTES_AT);
  return seal(whole);
}

/**
 * Publishes the bytes of a record batch unchanged.
 * @returns the offset of its first record
 */
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
