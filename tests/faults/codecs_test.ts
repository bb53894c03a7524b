import { ok } from "node:assert";
import { type Intended, reading } from "../support/judge.ts";
import type { Sent } from "../../lab/produce.ts";
import type { Compression } from "../../workers/_shared/kafka/batch_writer.ts";
import { onPlace } from "../support/services.ts";
import { accountFor } from "./account.ts";

const T = "2026-07-14T09:30:00Z";
const COUNT = 300;

function readings(prefix: string): Intended[] {
  return Array.from({ length: COUNT }, (_, index) => reading(`${prefix}-${index}`, T, 70));
}

Deno.test(
  "a consumer reads records compressed by this project's Kafka client, with every codec",
  onPlace({}, async (place) => {
    const sent: Sent<Intended>[] = [];
    for (const compression of ["none", "gzip", "snappy", "lz4", "zstd"] satisfies Compression[]) {
      sent.push(...await place.publisher.send(readings(compression), { compression }));
    }
    await place.consumeAll();
    await accountFor(place, sent);
  }),
);

for (const codec of ["gzip", "snappy", "lz4", "zstd"]) {
  Deno.test(
    `a consumer reads records that the broker compressed with ${codec}`,
    // With this setting, the broker compresses the uncompressed batches, for which it uses Kafka's Java libraries.
    onPlace({ topicConfig: { "compression.type": codec } }, async (place) => {
      const sent = await place.publisher.send(readings(codec));
      const [broker] = await place.admin.describeLogDirs({
        topics: [{ name: place.topic, partitions: [0] }],
      });
      const topic = broker?.results[0]?.topics.find(({ name }) => name === place.topic);
      const stored = Number(topic?.partitions[0]?.partitionSize);
      const plain = sent.reduce((sum, { value }) => sum + (value?.length ?? 0), 0);
      ok(
        stored < plain / 2,
        `the log has ${stored} bytes, expected less than half of the ${plain} bytes that were sent`,
      );
      await place.consumeAll();
      await accountFor(place, sent);
    }),
  );
}
