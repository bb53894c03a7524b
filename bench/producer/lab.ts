import { randomBytes } from "node:crypto";
import { Admin, Consumer } from "@platformatic/kafka";
import { Child } from "../../stack/process/child.ts";
import type { Stack } from "../../stack/mod.ts";
import { sleep } from "../../workers/_shared/backoff.ts";
import { cpuSeconds, endedCpuSeconds } from "../lab/cpu_time.ts";
import { sampleProcess } from "../lab/process_sample.ts";

const POLL_EVERY_MS = 50;
/** Memory is measured when this share of the records has arrived. The process then has its full memory and still runs. */
const MEMORY_SAMPLED_AT = 0.9;
const DEADLINE_MS = 600_000;
const STOP_DEADLINE_MS = 15_000;

export interface Lab {
  readonly stack: Stack;
  readonly partitions: number;
  readonly signal: AbortSignal;
}

export interface Program {
  readonly command: string;
  readonly args: readonly string[];
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
}

export interface Run {
  readonly records: number;
  /** From the first time that records were seen in the log until all records were there. */
  readonly recordsPerSecond: number;
  /** From the start of the process until its last record is in the log. */
  readonly seconds: number;
  /** CPU seconds that the contender and the broker used from the start to the end of the contender. */
  readonly cpu: { readonly producer: number; readonly kafka: number };
  readonly peakMb: number | undefined;
}

export async function publishAll(
  { stack, partitions, signal }: Lab,
  records: number,
  programFor: (topic: string) => Program,
): Promise<Run> {
  await using topic = await FreshTopic.create(stack, partitions);
  const before = { ended: await endedCpuSeconds(), kafka: await cpuSeconds(stack.kafka.pid) };
  const began = performance.now();
  const child = new Child({
    ...programFor(topic.name),
    pidFile: stack.pidFile("producer"),
    stopSignal: "SIGTERM",
    onLine: () => {},
  });
  try {
    let first: { readonly count: number; readonly at: number } | undefined;
    let peakMb: number | undefined;
    for (;;) {
      const ended = !child.running;
      const count = await topic.count();
      const at = performance.now();
      if (count > 0) first ??= { count, at };
      if (count >= records * MEMORY_SAMPLED_AT && peakMb === undefined && !ended) {
        const sample = await sampleProcess(child.pid);
        peakMb = sample && sample.peakKb / 1024;
      }
      if (first !== undefined && count >= records) {
        const { code } = await child.exited;
        const arrived = await topic.count();
        if (code !== 0 || arrived !== records) throw failure(child, arrived, records);
        return {
          records,
          recordsPerSecond: (count - first.count) / (at - first.at) * 1000,
          seconds: (at - began) / 1000,
          cpu: {
            producer: await endedCpuSeconds() - before.ended,
            kafka: await cpuSeconds(stack.kafka.pid) - before.kafka,
          },
          peakMb,
        };
      }
      signal.throwIfAborted();
      if (ended || at - began > DEADLINE_MS) throw failure(child, count, records);
      await sleep(POLL_EVERY_MS, { signal });
    }
  } finally {
    await child.stop(STOP_DEADLINE_MS);
  }
}

function failure(child: Child, arrived: number, expected: number): Error {
  const lines = child.tail.join("\n");
  return new Error(
    `${arrived} records arrived, expected ${expected}; the last lines of the sender:\n${lines}`,
  );
}

class FreshTopic implements AsyncDisposable {
  readonly name = `bench_${randomBytes(4).toString("hex")}`;
  readonly #admin: Admin;
  readonly #ends: Consumer;

  private constructor({ kafkaBootstrapServers }: Stack) {
    const options = { clientId: "heartbeat-bench", bootstrapBrokers: [kafkaBootstrapServers], retries: 5 };
    this.#admin = new Admin(options);
    this.#ends = new Consumer({ ...options, groupId: this.name });
  }

  static async create(stack: Stack, partitions: number): Promise<FreshTopic> {
    const topic = new FreshTopic(stack);
    await topic.#admin.createTopics({ topics: [topic.name], partitions, replicas: 1 });
    return topic;
  }

  async count(): Promise<number> {
    const ends = await this.#ends.listOffsets({ topics: [this.name] });
    return (ends.get(this.name) ?? []).reduce((sum, end) => sum + Number(end), 0);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#ends.close(true);
    await this.#admin.deleteTopics({ topics: [this.name] });
    await this.#admin.close();
  }
}
