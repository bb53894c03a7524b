/** The producer's process while its broker dies, hangs, or forgets everything: what it calls sent is stored. */
import { strictEqual } from "node:assert";
import { join } from "node:path";
import { judge } from "../support/judge.ts";
import type { Place } from "../../lab/place.ts";
import { onPlace } from "../support/services.ts";
import type { WorkerProcess } from "../../lab/worker_process.ts";
import { PARTITIONS } from "./load.ts";
import { ProduceLoad } from "./produce_load.ts";

/** A producer and a consumer, running through `disturb`; then the judgement. */
async function survives(
  place: Place,
  disturb: (producer: ProduceLoad, consumer: WorkerProcess) => Promise<void>,
  env: Readonly<Record<string, string>> = {},
): Promise<void> {
  const consumer = place.consumer({ env });
  await using producer = new ProduceLoad(place);
  await producer.grows(300);
  await disturb(producer, consumer);
  await producer.grows(300);
  strictEqual(producer.worker.running, true, "the same producer went on");
  strictEqual(await producer.worker.stop(), 0, "and has nothing left to send");
  await place.caughtUp();
  // A record whose acknowledgement was lost is sent again.
  await judge(place, producer.sent(), { resent: true });
  await consumer.ready();
}

Deno.test(
  "a broker that is killed under load, three times: all that the producer calls sent is stored, and it goes on",
  onPlace({ partitions: PARTITIONS }, (place) =>
    survives(place, async (producer) => {
      for (let time = 0; time < 3; time++) {
        await place.stack.kafka.kill();
        await producer.fails(2);
        await place.stack.kafka.start();
        await producer.grows(100);
      }
    })),
);

Deno.test(
  "a broker that hangs with requests in hand: the producer says so, sends them again, and goes on",
  onPlace({ partitions: PARTITIONS }, (place) =>
    survives(place, async (producer) => {
      await place.stack.kafka.freeze();
      await producer.worker.notReady(/Kafka has not taken a record/);
      await producer.fails(1);
      await place.stack.kafka.thaw();
      await producer.worker.ready();
    })),
);

Deno.test(
  "a broker that lost its log and what it knew of producers: the producer goes on, and what it sends is stored",
  onPlace({ partitions: PARTITIONS }, (place) =>
    survives(place, async (producer, consumer) => {
      // What the broker loses shall be stored before: the loss of the rest is nobody's doing but the disk's.
      producer.worker.kill("SIGSTOP");
      await place.caughtUp();
      await place.stack.kafka.kill();
      for (let partition = 0; partition < PARTITIONS; partition++) {
        await Deno.remove(join(place.stack.home, "kafka", "data", `${place.topic}-${partition}`), {
          recursive: true,
        });
      }
      await place.stack.kafka.start();
      producer.worker.kill("SIGCONT");
      await consumer.said("partition.log_cut");
    }, { KAFKA_OFFSET_RESET: "earliest" })),
);

Deno.test(
  "a topic that is made again with fewer partitions: the producer goes on with those that there are",
  onPlace({ partitions: PARTITIONS }, (place) =>
    survives(place, async (producer) => {
      // What is deleted shall be stored before.
      producer.worker.kill("SIGSTOP");
      await place.caughtUp();
      await place.deleteTopic();
      await place.createTopic(1);
      producer.worker.kill("SIGCONT");
      // Each partition's lane has its turn in this time.
      await producer.grows(1_000);
      await producer.worker.ready();
    })),
);
