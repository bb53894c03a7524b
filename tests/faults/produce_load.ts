/** The producer as people run it, as a load; what it says it published is held against what is stored. */
import { Buffer } from "node:buffer";
import { eventually } from "../../lab/eventually.ts";
import type { Intended } from "../support/judge.ts";
import type { Place } from "../../lab/place.ts";
import type { Sent } from "../../lab/produce.ts";
import { WorkerProcess } from "../../lab/worker_process.ts";

const RATE = 300;

export class ProduceLoad implements AsyncDisposable {
  readonly worker: WorkerProcess;

  constructor(place: Place, args: readonly string[] = []) {
    this.worker = WorkerProcess.start("producer", {
      args: ["--rate", String(RATE), "--customers", "100", ...args],
      env: {
        KAFKA_BOOTSTRAP_SERVERS: place.stack.kafkaBootstrapServers,
        KAFKA_TOPIC: place.topic,
        LOG_FORMAT: "json",
        // It then says of each record where the broker put it.
        LOG_LEVEL: "debug",
      },
    });
  }

  /** How many it counts as published. */
  get count(): number {
    return this.worker.events("record.published").length;
  }

  /** Every record that it says is published, and where. */
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

  async grows(by: number): Promise<void> {
    const goal = this.count + by;
    await eventually(`${by} more records of the producer`, () => this.count >= goal, {
      withinMs: 90_000,
      seen: () => this.worker.tail(),
    });
  }

  /** Waits until it has failed so many times more. */
  async fails(times: number): Promise<void> {
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
