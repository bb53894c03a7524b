import { strictEqual } from "node:assert";
import { Buffer } from "node:buffer";
import { bad, type Intended, reading } from "../support/judge.ts";
import type { Place } from "../../lab/place.ts";
import type { Sent } from "../../lab/produce.ts";
import type { Compression } from "../../workers/_shared/kafka/batch_writer.ts";
import { compressedBy, produceBatch } from "../support/produce_batch.ts";
import { batch } from "../support/record_batch.ts";
import { onPlace } from "../support/services.ts";
import { lz4OfTinyBlocks, snappyOfTinyBlocks } from "../support/tiny_blocks.ts";
import { accountFor, assertWithinMemory } from "./account.ts";

const MEGABYTE = 1024 * 1024;
const T = "2026-07-14T09:30:00Z";

/** Each record has one megabyte, which compression reduces to about 1,000 bytes. */
function dense(count: number, partition: number): Intended[] {
  return Array.from({ length: count }, (_, index) => {
    const value = new Uint8Array(MEGABYTE).fill(0x61 + index % 20);
    return bad("invalid_json", value, { key: `dense-${index}`, partition });
  });
}

const LARGE_BATCHES = { partitions: 8, topicConfig: { "max.message.bytes": String(4 * MEGABYTE) } };

async function assertReadWithinMemory(place: Place, sent: readonly Sent<Intended>[]): Promise<void> {
  const consumer = place.consumer();
  await place.untilCaughtUp();
  await assertWithinMemory(consumer);
  await accountFor(place, sent);
  strictEqual(await consumer.stop(), 0);
}

Deno.test(
  "a consumer reads small batches that decompress to 30 MB, with every codec, in less than 256 MB of memory",
  onPlace(LARGE_BATCHES, async (place) => {
    const sent: Sent<Intended>[] = [];
    const codecs = ["zstd", "lz4", "gzip", "snappy"] satisfies Compression[];
    for (let partition = 0; partition < 8; partition++) {
      const compression = codecs[partition % codecs.length] ?? "zstd";
      sent.push(...await place.publisher.send(dense(30, partition), { compression, inOneRequest: true }));
      sent.push(...await place.publisher.send([reading(`behind-${partition}`, T, 70, { partition })]));
    }
    await assertReadWithinMemory(place, sent);
  }),
);

/** Such a batch takes about 3.5 MB in the log. It is larger than its content, because each byte is a block. */
const TINY_BLOCKS = [
  { codec: "lz4", compress: lz4OfTinyBlocks, plainBytes: 700_000 },
  { codec: "snappy", compress: snappyOfTinyBlocks, plainBytes: 500_000 },
] as const;

Deno.test(
  "a consumer reads lz4 and snappy batches with a block for each byte, in less than 256 MB of memory",
  onPlace(LARGE_BATCHES, async (place) => {
    const sent: Sent<Intended>[] = [];
    for (let partition = 0; partition < 8; partition++) {
      const { codec, compress, plainBytes } = TINY_BLOCKS[partition % 2 === 0 ? 0 : 1];
      const key = Buffer.from(`tiny-${partition}`);
      const value = Buffer.alloc(plainBytes, "x");
      const tiny = compressedBy(batch(0, [0], { record: () => ({ key, value }) }), codec, compress);
      for (let times = 0; times < 3; times++) {
        const offset = await produceBatch(place.stack.kafkaBootstrapServers, place.topic, partition, tiny);
        const record = bad("invalid_json", value, { key, partition });
        sent.push({ id: `${partition}:${offset}`, partition, offset, key, value, record });
      }
      sent.push(...await place.publisher.send([reading(`behind-${partition}`, T, 70, { partition })]));
    }
    await assertReadWithinMemory(place, sent);
  }),
);
