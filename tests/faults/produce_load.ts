import { Buffer } from "node:buffer";
import { eventually } from "../../lab/eventually.ts";
import type { Intended } from "../support/judge.ts";
import type { Place } from "../../lab/place.ts";
import type { Sent } from "../../lab/produce.ts";
import { WorkerProcess } from "../../lab/worker_process.ts";

const RATE = 300;

/** Starts the producer on the topic of a test. The caller stops it. */
export function startProducer(
  { stack, topic }: Place,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): WorkerProcess {
  return WorkerProcess.start("producer", {
    args,
    env: {
      KAFKA_BOOTSTRAP_SERVERS: stack.kafkaBootstrapServers,
      KAFKA_TOPIC: topic,
      LOG_FORMAT: "json",
      ...env,
    },
  });
}

export class ProduceLoad implements AsyncDisposable {
  readonly worker: WorkerProcess;

  constructor(place: Place) {
    // At this level it logs the partition and offset of each record.
    const env = { LOG_LEVEL: "debug" };
    this.worker = startProducer(place, ["--rate", String(RATE), "--customers", "100"], env);
  }

  get count(): number {
    return this.worker.events("record.published").length;
  }

  sent(): Sent<Intended>[] {
    return this.worker.events("record.published").map(({ partition, offset, key, value }) => ({
      id: `${partition}:${offset}`,
      partition: Number(partition),
      offset: Number(offset),
      key: Buffer.from(String(key)),
      value: Buffer.from(String(value)),
      record: { value: String(value), fate: "reading" },
    }));
  }

  async waitForGrowth(by: number): Promise<void> {
    const goal = this.count + by;
    await eventually(`${by} more published records`, () => this.count >= goal, {
      withinMs: 90_000,
      seen: () => this.worker.tail(),
    });
  }

  async waitForFailures(times: number): Promise<void> {
    const failures = () =>
      this.worker.events("publish.failed").length + this.worker.events("kafka.unavailable").length;
    const goal = failures() + times;
    await eventually(`the producer to fail ${times} times`, () => failures() >= goal, {
      withinMs: 90_000,
      seen: () => this.worker.tail(),
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.worker[Symbol.asyncDispose]();
  }
}
