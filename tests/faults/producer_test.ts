import { strictEqual } from "node:assert";
import { join } from "node:path";
import { judge } from "../support/judge.ts";
import type { Place } from "../../lab/place.ts";
import { onPlace } from "../support/services.ts";
import type { WorkerProcess } from "../../lab/worker_process.ts";
import { PARTITIONS } from "./load.ts";
import { ProduceLoad } from "./produce_load.ts";

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
  strictEqual(producer.worker.running, true, "the producer is still running");
  strictEqual(await producer.worker.stop(), 0, "the producer has no backlog");
  await place.caughtUp();
  // Records whose acknowledgement was lost are sent again.
  await judge(place, producer.sent(), { resent: true });
  await consumer.ready();
}

Deno.test(
  "the producer survives a broker that is killed three times under load, and all records that it reports as sent are stored",
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
  "the producer is not ready while a broker hangs, sends the unanswered requests again, and continues",
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
  "the producer survives a broker that lost its log and its state of producers",
  onPlace({ partitions: PARTITIONS }, (place) =>
    survives(place, async (producer, consumer) => {
      // What the broker is about to lose must be stored first, because no program can recover it later.
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
  "the producer survives the recreation of its topic with fewer partitions",
  onPlace({ partitions: PARTITIONS }, (place) =>
    survives(place, async (producer) => {
      // The records of the old topic must be stored before it is deleted.
      producer.worker.kill("SIGSTOP");
      await place.caughtUp();
      await place.deleteTopic();
      await place.createTopic(1);
      producer.worker.kill("SIGCONT");
      // By then, the producer has sent to every partition that it knows.
      await producer.grows(1_000);
      await producer.worker.ready();
    })),
);
