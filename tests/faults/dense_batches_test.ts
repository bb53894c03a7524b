/** Kilobytes in the log that are megabytes in memory: read within the memory that was promised, or refused by name. */
import { ok, strictEqual } from "node:assert";
import { Buffer } from "node:buffer";
import { bad, type Intended, reading } from "../support/judge.ts";
import type { Place } from "../../lab/place.ts";
import type { Sent } from "../../lab/produce.ts";
import type { Compression } from "../../workers/_shared/kafka/batch_writer.ts";
import { compressedBy, produceBatch } from "../support/produce_batch.ts";
import { batch } from "../support/record_batch.ts";
import { peakMemory } from "../support/resources.ts";
import { onPlace } from "../support/services.ts";
import { lz4OfTinyBlocks, snappyOfTinyBlocks } from "../support/tiny_blocks.ts";
import { accountFor } from "./account.ts";

const MEGABYTE = 1024 * 1024;
/** What is promised, whatever waits in Kafka. */
const MOST_BYTES = 256 * MEGABYTE;
const T = "2026-07-14T09:30:00Z";

/** No JSON, a megabyte each, of which a thousand bytes are left in the log. */
function dense(count: number, partition: number): Intended[] {
  return Array.from({ length: count }, (_, index) => {
    const value = new Uint8Array(MEGABYTE).fill(0x61 + index % 20);
    return bad("invalid_json", value, { key: `dense-${index}`, partition });
  });
}

const LARGE_BATCHES = { partitions: 8, topicConfig: { "max.message.bytes": String(4 * MEGABYTE) } };

/** A consumer reads all of it, in the memory that is promised, and every record is accounted for. */
async function readWithinLimit(place: Place, sent: readonly Sent<Intended>[]): Promise<void> {
  const consumer = place.consumer();
  await place.caughtUp();
  const peak = await peakMemory(consumer);
  ok(peak < MOST_BYTES, `${Math.round(peak / MEGABYTE)} MB`);
  await accountFor(place, sent);
  strictEqual(await consumer.stop(), 0);
}

Deno.test(
  "batches of 30 MB in a few kilobytes, of every codec at once, are read in less than 256 MB",
  onPlace(LARGE_BATCHES, async (place) => {
    const sent: Sent<Intended>[] = [];
    const codecs = ["zstd", "lz4", "gzip", "snappy"] satisfies Compression[];
    for (let partition = 0; partition < 8; partition++) {
      const compression = codecs[partition % codecs.length] ?? "zstd";
      sent.push(...await place.publisher.send(dense(30, partition), { compression, inOneRequest: true }));
      sent.push(...await place.publisher.send([reading(`behind-${partition}`, T, 70, { partition })]));
    }
    await readWithinLimit(place, sent);
  }),
);

/** Written by hand, with a block for each of its bytes: some 3.5 MB in the log. */
const TINY_BLOCKS = [
  { codec: "lz4", compress: lz4OfTinyBlocks, plainBytes: 700_000 },
  { codec: "snappy", compress: snappyOfTinyBlocks, plainBytes: 500_000 },
] as const;

Deno.test(
  "batches of lz4 and snappy with a block for each byte are read in less than 256 MB",
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
    await readWithinLimit(place, sent);
  }),
);
