import { randomBytes } from "node:crypto";
import { Admin, Consumer } from "@platformatic/kafka";
// @ts-types="@types/pg"
import pg from "pg";
import type { Stack } from "../stack/mod.ts";
import { openClient, withClient } from "../stack/postgres/postgres_client.ts";
import { describeTopic, type TopicDescription } from "../workers/_shared/kafka/topic.ts";
import { eventually } from "./eventually.ts";
import { Publisher } from "./produce.ts";
import { type StartOptions, WorkerProcess } from "./worker_process.ts";

export interface PlaceOptions {
  /** Number of partitions; with 0, no topic is created. Default: 1. */
  readonly partitions?: number;
  readonly replicas?: number;
  readonly topicConfig?: Readonly<Record<string, string>>;
}

type Row = Record<string, unknown>;

export async function createPlace(stack: Stack, test: string, options: PlaceOptions): Promise<Place> {
  const slug = test.toLowerCase().replace(/[^a-z0-9]+/g, "_").slice(0, 40);
  const place = new Place(stack, `${slug}_${randomBytes(3).toString("hex")}`);
  await place.asSuperuser(`create database "${place.database}" owner heartbeat_user`);
  if (options.partitions !== 0) {
    await place.createTopic(options.partitions ?? 1, options.topicConfig, options.replicas);
  }
  return place;
}

/** A topic and a database that belong to one test, with the workers that run on them. */
export class Place implements AsyncDisposable {
  readonly stack: Stack;
  readonly topic: string;
  readonly database: string;
  readonly databaseUrl: string;
  readonly publisher: Publisher;
  readonly admin: Admin;
  readonly #pool: pg.Pool;
  readonly #ends: Consumer;
  readonly #workers: WorkerProcess[] = [];

  constructor(stack: Stack, name: string) {
    this.stack = stack;
    this.topic = name;
    this.database = name;
    const url = new URL(stack.databaseUrl);
    url.pathname = `/${name}`;
    this.databaseUrl = url.href;
    this.#pool = openPool(this.databaseUrl);
    const options = {
      clientId: "heartbeat-test",
      bootstrapBrokers: stack.kafkaBootstrapServers.split(","),
      retries: 5,
    };
    this.admin = new Admin(options);
    this.#ends = new Consumer({ ...options, groupId: "heartbeat-test" });
    this.publisher = new Publisher(stack.kafkaBootstrapServers, name);
  }

  /** Queries the database of the place as its owner. */
  async sql<T extends Row = Row>(text: string, values: readonly unknown[] = []): Promise<T[]> {
    return (await this.#pool.query<T>(text, [...values])).rows;
  }

  /** Returns a connection for locks and open transactions. The caller ends it. */
  async session(): Promise<pg.Client> {
    return await openClient(this.databaseUrl);
  }

  get superuserUrl(): string {
    const url = new URL(this.stack.superuserUrl);
    url.pathname = `/${this.database}`;
    return url.href;
  }

  /** Runs a statement in the database `postgres`, not in the database of the place. */
  async asSuperuser(text: string): Promise<void> {
    await withClient(this.stack.superuserUrl, (client) => client.query(text));
  }

  async createTopic(
    partitions: number,
    config: Readonly<Record<string, string>> = {},
    replicas = 1,
  ): Promise<void> {
    const configs = Object.entries(config).map(([name, value]) => ({ name, value }));
    await this.admin.createTopics({ topics: [this.topic], partitions, replicas, configs });
    await eventually(`topic ${this.topic}`, async () => {
      return (await this.describeTopic())?.leaders.filter((leader) => leader >= 0).length === partitions;
    });
    // A new leader refuses requests until it has opened its log.
    await eventually(`the logs of ${this.topic}`, async () => (await this.ends()).length === partitions);
  }

  async describeTopic(): Promise<TopicDescription | undefined> {
    return await describeTopic(this.#ends, this.topic);
  }

  /** @param count number of all partitions afterwards */
  async addPartitions(count: number): Promise<void> {
    const { leaders: [broker = 0, ...others] } = await eventually("the topic", () => this.describeTopic());
    const assignments = Array.from({ length: count - others.length - 1 }, () => ({ brokerIds: [broker] }));
    await this.admin.createPartitions({ topics: [{ name: this.topic, count, assignments }] });
    await eventually(
      "the new partitions",
      async () => (await this.describeTopic())?.leaders.length === count,
    );
    await this.publisher.forget();
  }

  async deleteTopic(): Promise<void> {
    await this.admin.deleteTopics({ topics: [this.topic] });
    await eventually("the topic to be gone", async () => (await this.describeTopic()) === undefined);
    await this.publisher.forget();
  }

  /** The last stable offset of each partition. */
  async ends(): Promise<number[]> {
    const ends = await this.#ends.listOffsets({ topics: [this.topic] });
    return (ends.get(this.topic) ?? []).map(Number);
  }

  /** Waits until the ledger is at the end of each partition and the rollup has applied all changes. */
  async untilCaughtUp({ withinMs = 90_000 }: { withinMs?: number } = {}): Promise<void> {
    const end = performance.now() + withinMs;
    await this.untilStored({ withinMs });
    let seen: unknown;
    await eventually("the rollup to reach the ledger", async () => {
      const [rollup] = await this.sql<{ rebuild: string | null; behind: number }>(
        `select (select cursor::text from public.rollup) as rebuild,
                (select count(*)::int from public.rollup_lag where offsets <> 0) as behind`,
      );
      seen = rollup;
      return rollup?.rebuild === null && rollup.behind === 0;
    }, { withinMs: end - performance.now(), seen: () => seen });
  }

  /** Waits until the ledger is at the end of each partition. The rollup may be behind. */
  async untilStored({ withinMs = 90_000 }: { withinMs?: number } = {}): Promise<void> {
    const topicId = (await eventually("the topic", () => this.describeTopic())).id;
    let seen: unknown;
    await eventually("the ledger to reach the ends of the log", async () => {
      const ends = await this.ends();
      const rows = await this.sql<{ kafka_partition: number; next: string }>(
        `select distinct on (kafka_partition) kafka_partition, next_offset as next
           from public.ingest_offsets where topic_id = $1
          order by kafka_partition, generation desc`,
        [topicId],
      );
      const next = new Map(rows.map((row) => [row.kafka_partition, Number(row.next)]));
      seen = { ends, next };
      return ends.length > 0 && ends.every((end, partition) => next.get(partition) === end);
    }, { withinMs, seen: () => seen });
  }

  /** The process ends at the latest when the place is disposed. */
  consumer(options: StartOptions = {}): WorkerProcess {
    const env = {
      KAFKA_BOOTSTRAP_SERVERS: this.stack.kafkaBootstrapServers,
      KAFKA_TOPIC: this.topic,
      KAFKA_GROUP_ID: this.topic,
      DATABASE_URL: this.databaseUrl,
      LOG_FORMAT: "json",
      ...options.env,
    };
    const worker = WorkerProcess.start("consumer", { ...options, env });
    this.#workers.push(worker);
    return worker;
  }

  /**
   * Runs a consumer until it has read everything.
   * @throws Error unless it exits with 0
   */
  async consumeAll(options: StartOptions & { readonly withinMs?: number } = {}): Promise<WorkerProcess> {
    const worker = this.consumer({ ...options, args: ["--until-caught-up"] });
    const code = await worker.exitCode(options);
    if (code !== 0) throw new Error(`--until-caught-up ended with ${code}, expected 0:\n${worker.tail()}`);
    return worker;
  }

  async run(
    program: "reconcile" | "scenarios" | "sql",
    args: readonly string[] = [],
    env: Readonly<Record<string, string>> = {},
    options: { readonly withinMs?: number } = {},
  ): Promise<{ code: number; output: string }> {
    await using worker = WorkerProcess.start(program, {
      args,
      env: {
        KAFKA_BOOTSTRAP_SERVERS: this.stack.kafkaBootstrapServers,
        KAFKA_TOPIC: this.topic,
        DATABASE_URL: this.databaseUrl,
        ...env,
      },
    });
    return { code: await worker.exitCode(options), output: worker.output };
  }

  workersTail(): string {
    return this.#workers.map((worker) => worker.tail()).join("\n");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#workers.map((worker) => worker[Symbol.asyncDispose]()));
    await this.publisher[Symbol.asyncDispose]();
    await this.#pool.end();
    await this.admin.close().catch(() => {});
    await this.#ends.close(true).catch(() => {});
  }
}

function openPool(url: string): pg.Pool {
  const pool = new pg.Pool({ connectionString: url, max: 2, connectionTimeoutMillis: 5_000 });
  // If a test stops the server, idle connections end. The next query opens a new connection.
  pool.on("error", () => {});
  return pool;
}
