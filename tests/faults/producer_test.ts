import { strictEqual } from "node:assert";
import { join } from "node:path";
import { judge } from "../support/judge.ts";
import type { Place } from "../../lab/place.ts";
import { onPlace } from "../support/services.ts";
import type { WorkerProcess } from "../../lab/worker_process.ts";
import { PARTITIONS } from "./load.ts";
import { ProduceLoad } from "./produce_load.ts";

async function assertSurvives(
  place: Place,
  disturb: (producer: ProduceLoad, consumer: WorkerProcess) => Promise<void>,
  env: Readonly<Record<string, string>> = {},
): Promise<void> {
  const consumer = place.consumer({ env });
  await using producer = new ProduceLoad(place);
  await producer.waitForGrowth(300);
  await disturb(producer, consumer);
  await producer.waitForGrowth(300);
  strictEqual(producer.worker.running, true, "the producer has ended");
  strictEqual(await producer.worker.stop(), 0, "the producer left records unsent");
  await place.untilCaughtUp();
  // The producer sent records again if their acknowledgement was lost.
  await judge(place, producer.sent(), { resent: true });
  await consumer.untilReady();
}

Deno.test(
  "the producer survives a broker that is killed three times under load, and all records that it reports as sent are stored",
  onPlace({ partitions: PARTITIONS }, (place) =>
    assertSurvives(place, async (producer) => {
      for (let time = 0; time < 3; time++) {
        await place.stack.kafka.kill();
        await producer.waitForFailures(2);
        await place.stack.kafka.start();
        await producer.waitForGrowth(100);
      }
    })),
);

Deno.test(
  "while a broker hangs, the producer is not ready; afterwards it sends the unanswered requests again and continues",
  onPlace({ partitions: PARTITIONS }, (place) =>
    assertSurvives(place, async (producer) => {
      await place.stack.kafka.freeze();
      await producer.worker.untilNotReady(/Kafka has not taken a record/);
      await producer.waitForFailures(1);
      await place.stack.kafka.thaw();
      await producer.worker.untilReady();
    })),
);

Deno.test(
  "the producer survives a broker that lost its log and the producers' sequence numbers",
  onPlace({ partitions: PARTITIONS }, (place) =>
    assertSurvives(place, async (producer, consumer) => {
      // The consumer must store all records before the broker loses them.
      producer.worker.kill("SIGSTOP");
      await place.untilCaughtUp();
      await place.stack.kafka.kill();
      for (let partition = 0; partition < PARTITIONS; partition++) {
        await Deno.remove(join(place.stack.home, "kafka", "data", `${place.topic}-${partition}`), {
          recursive: true,
        });
      }
      await place.stack.kafka.start();
      producer.worker.kill("SIGCONT");
      await consumer.untilLogged("partition.log_cut");
    }, { KAFKA_OFFSET_RESET: "earliest" })),
);

Deno.test(
  "the producer survives the recreation of its topic with fewer partitions",
  onPlace({ partitions: PARTITIONS }, (place) =>
    assertSurvives(place, async (producer) => {
      // The records of the old topic must be stored before it is deleted.
      producer.worker.kill("SIGSTOP");
      await place.untilCaughtUp();
      await place.deleteTopic();
      await place.createTopic(1);
      producer.worker.kill("SIGCONT");
      // After 1,000 more records, the producer has sent to every partition that it knows.
      await producer.waitForGrowth(1_000);
      await producer.worker.untilReady();
    })),
);
