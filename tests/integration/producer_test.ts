import assert from "node:assert/strict";
import { join } from "node:path";
import { randomBytes } from "node:crypto";
import { Consumer } from "@platformatic/kafka";
import { type Stack, startStack } from "../../stack/mod.ts";
import { describeTopic } from "../../workers/_shared/kafka/topic.ts";
import { generate } from "../../workers/producer/generate.ts";
import { eventually } from "../../lab/eventually.ts";
import { WorkerProcess } from "../../lab/worker_process.ts";

let starting: Promise<Stack> | undefined;

function kafka(): Promise<Stack> {
  return starting ??= Deno.makeTempDir({ prefix: "heartbeat-test-" })
    .then((home) => startStack({ home, services: ["kafka"] }));
}

Deno.test.afterAll(async () => {
  await (await starting)?.destroy();
});

interface LoggedRecord {
  readonly partition: number;
  readonly offset: bigint;
  readonly key: string;
  readonly value: string | null;
}

class TestTopic implements AsyncDisposable {
  readonly name = `producer_${randomBytes(4).toString("hex")}`;
  readonly #stack: Stack;
  readonly #reader: Consumer;
  readonly #running: WorkerProcess[] = [];

  constructor(stack: Stack) {
    this.#stack = stack;
    this.#reader = new Consumer({
      clientId: "heartbeat-test",
      groupId: this.name,
      bootstrapBrokers: [stack.kafkaBootstrapServers],
      retries: 2,
      retryDelay: 100,
    });
  }

  produce(...args: string[]): WorkerProcess {
    const worker = WorkerProcess.start("producer", {
      args,
      env: {
        KAFKA_BOOTSTRAP_SERVERS: this.#stack.kafkaBootstrapServers,
        KAFKA_TOPIC: this.name,
        LOG_FORMAT: "json",
      },
    });
    this.#running.push(worker);
    return worker;
  }

  async partitions(): Promise<number | undefined> {
    return (await describeTopic(this.#reader, this.name))?.leaders.length;
  }

  async records(): Promise<LoggedRecord[]> {
    const ends = (await this.#reader.listOffsets({ topics: [this.name] })).get(this.name) ?? [];
    const total = ends.reduce((sum, end) => sum + Number(end), 0);
    const records: LoggedRecord[] = [];
    const stream = await this.#reader.consume({
      topics: [this.name],
      mode: "earliest",
      autocommit: false,
      maxWaitTime: 100,
    });
    for await (const { partition, offset, key, value } of stream) {
      // The client's type does not say that a tombstone has no value.
      const bytes: Uint8Array | undefined = value;
      records.push({
        partition,
        offset,
        key: key.toString(),
        value: bytes === undefined ? null : value.toString(),
      });
      if (records.length === total) break;
    }
    await stream.close();
    return records;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const worker of this.#running) await worker[Symbol.asyncDispose]();
    await this.#reader.close(true);
  }
}

function summary(worker: WorkerProcess, name: string): number {
  const match = new RegExp(`^ *${name} +([\\d.]+)$`, "m").exec(worker.output);
  assert.ok(match, `the summary has no line "${name}":\n${worker.output}`);
  return Number(match[1]);
}

async function waitForPublished(worker: WorkerProcess, moreThan: number): Promise<void> {
  await eventually(`more than ${moreThan} acknowledged records`, async () => {
    return await worker.metric("heartbeat_published_total") > moreThan;
  });
}

const keyAndValue = ({ key, value }: { key: unknown; value: unknown }) => `${key} ${value}`;

Deno.test("produce creates a missing topic and publishes exactly the records of its seed", async () => {
  await using topic = new TestTopic(await kafka());
  const from = Date.UTC(2026, 0, 5) * 1000;
  const times = "--from 2026-01-05T00:00:00Z --to 2026-01-05T02:00:00Z --interval 10s";
  const worker = topic.produce(
    ...`${times} --customers 5 --seed 42 --partitions 3`.split(" "),
    ..."--malformed-rate 0.05 --out-of-range-rate 0.05 --duplicate-rate 0.05".split(" "),
  );
  assert.equal(await worker.exitCode(), 0, worker.tail());
  assert.equal(worker.events("topic.created")[0]?.["partitions"], 3);
  assert.equal(await topic.partitions(), 3);

  const expected = Array.from(generate({
    seed: 42,
    customers: 5,
    startMicros: from,
    durationMicros: 7_200e6,
    spacingMicros: 2e6,
    live: false,
    arrhythmiaShare: 0.1,
    dropoutShare: 0.01,
    faults: { outOfRange: 0.05, malformed: 0.05, duplicate: 0.05 },
  }));
  const log = await topic.records();
  // Only the order of each customer's records is defined, because partitions have no common order.
  const byCustomer = (records: readonly { key: unknown; value: unknown }[]) =>
    Map.groupBy(records.map(keyAndValue), (text) => text.slice(0, "customer-00001".length));
  assert.deepEqual(
    new Map([...byCustomer(log)].sort()),
    new Map([...byCustomer(expected)].sort()),
  );
  assert.equal(summary(worker, "acknowledged"), expected.length);
  assert.equal(summary(worker, "failed"), 0);
  assert.equal(summary(worker, "tombstone"), log.filter(({ value }) => value === null).length);
  assert.equal(
    summary(worker, "deliberately_bad"),
    expected.filter(({ fault }) => fault !== undefined).length,
  );
});

for (const compression of ["none", "gzip", "snappy", "lz4", "zstd"]) {
  Deno.test(`a consumer can read what produce --compression ${compression} publishes`, async () => {
    await using topic = new TestTopic(await kafka());
    const worker = topic.produce("--rate", "5000", "--count", "2000", "--compression", compression);
    assert.equal(await worker.exitCode(), 0, worker.tail());
    const log = await topic.records();
    assert.equal(new Set(log.map(keyAndValue)).size, 2_000);
    assert.deepEqual(log.filter(({ value }) => !/"heart_rate":\d+}$/.test(value ?? "")), []);
    assert.equal(await topic.partitions(), 6);
  });
}

Deno.test("produce loses no record and keeps each customer's order when the broker is killed", async () => {
  const stack = await kafka();
  await using topic = new TestTopic(stack);
  const worker = topic.produce("--rate", "2000", "--count", "20000", "--customers", "40", "--seed", "3");
  await waitForPublished(worker, 3_000);
  await stack.kafka.kill();
  await worker.untilLogged("kafka.unavailable");
  await worker.untilNotReady(/Kafka has not taken a record/);
  await stack.kafka.start();
  await worker.untilLogged("kafka.available");
  assert.equal(await worker.exitCode(), 0, worker.tail());
  assert.equal(worker.events("kafka.unavailable").length, 1);

  assert.equal(summary(worker, "acknowledged"), 20_000);
  const log = await topic.records();
  const unique = new Set(log.map(keyAndValue));
  // Each customer's timestamps are all different, so no two records are equal.
  assert.equal(unique.size, 20_000, "the log lacks some records");
  assert.ok(
    log.length - unique.size <= summary(worker, "retried"),
    "records that were not retried are in the log twice",
  );

  const lastTimestamps = new Map<string, string>();
  const seen = new Set<string>();
  const disordered: string[] = [];
  for (const { key, value } of log) {
    if (seen.has(keyAndValue({ key, value }))) continue;
    seen.add(keyAndValue({ key, value }));
    const { timestamp } = JSON.parse(value ?? "");
    if (timestamp < (lastTimestamps.get(key) ?? "")) disordered.push(`${key} ${timestamp}`);
    lastTimestamps.set(key, timestamp);
  }
  assert.deepEqual(disordered, []);
});

Deno.test("produce sends its backlog after SIGTERM, prints a summary and exits with code 0", async () => {
  await using topic = new TestTopic(await kafka());
  const worker = topic.produce("--rate", "3000");
  await waitForPublished(worker, 0);
  assert.equal(await worker.stop(), 0, worker.tail());
  assert.equal(summary(worker, "sent"), summary(worker, "acknowledged"));
  assert.equal((await topic.records()).length, summary(worker, "acknowledged"));
});

Deno.test("produce exits with code 1 if it is stopped before Kafka acknowledges all its records", async () => {
  const stack = await kafka();
  await using topic = new TestTopic(stack);
  const worker = topic.produce("--rate", "500");
  await waitForPublished(worker, 100);
  await stack.kafka.freeze();
  try {
    await eventually("a backlog", async () => await worker.metric("heartbeat_publish_backlog_records") > 100);
    assert.equal(await worker.stop(), 1, worker.tail());
  } finally {
    await stack.kafka.thaw();
  }
  assert.ok(summary(worker, "failed") > 100, worker.tail());
  assert.equal(summary(worker, "sent"), summary(worker, "acknowledged") + summary(worker, "failed"));
});

Deno.test("produce waits for a broker that has not started yet", async () => {
  const stack = await kafka();
  await using topic = new TestTopic(stack);
  await stack.kafka.stop();
  const worker = topic.produce("--rate", "100", "--count", "50");
  await worker.untilLogged("kafka.unavailable");
  await stack.kafka.start();
  assert.equal(await worker.exitCode(), 0, worker.tail());
  assert.equal((await topic.records()).length, 50);
});

const RECORDING = [
  "Id,Time,Value",
  "2022484408,4/1/2016 11:59:55 PM,93",
  "2022484408,4/2/2016 12:00:00 AM,91",
  '"Zo\u00eb ""Z""",4/2/2016 12:00:05 AM,250',
];
const MAP = "customer_id=Id,timestamp=Time,heart_rate=Value";
const MAPPED = ["--map", MAP, "--time-format", "M/D/YYYY h:mm:ss A"];

async function withFile(name: string, lines: readonly string[], body: (path: string) => Promise<void>) {
  const folder = await Deno.makeTempDir();
  const path = join(folder, name);
  await Deno.writeTextFile(path, lines.join("\n"));
  try {
    await body(path);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("produce --file publishes the customers, times and heart rates of a recording unchanged", async () => {
  await using topic = new TestTopic(await kafka());
  await withFile("a.csv", RECORDING, async (path) => {
    const worker = topic.produce("--file", path, ...MAPPED, "--timezone", "-05:00");
    assert.equal(await worker.exitCode(), 0, worker.tail());
  });
  assert.deepEqual((await topic.records()).map(({ key, value }) => [key, JSON.parse(value ?? "")]).sort(), [
    ["2022484408", { customer_id: "2022484408", timestamp: "2016-04-02T04:59:55.000Z", heart_rate: 93 }],
    ["2022484408", { customer_id: "2022484408", timestamp: "2016-04-02T05:00:00.000Z", heart_rate: 91 }],
    ['Zo\u00eb "Z"', { customer_id: 'Zo\u00eb "Z"', timestamp: "2016-04-02T05:00:05.000Z", heart_rate: 250 }],
  ]);
});

Deno.test("produce --file refuses a recording with an unreadable row and names the row, but skips it with --skip-bad", async () => {
  await using topic = new TestTopic(await kafka());
  await withFile("a.csv", [...RECORDING, "x,4/31/2016 1:00:00 AM,80"], async (path) => {
    const worker = topic.produce("--file", path, ...MAPPED);
    assert.equal(await worker.exitCode(), 1);
    const message =
      `${path}, line 5, column Time: is "4/31/2016 1:00:00 AM", expected a time like M/D/YYYY h:mm:ss A`;
    assert.ok(worker.output.includes(message), worker.output);
    assert.equal(await topic.partitions(), undefined, "produce created the topic");

    const skipping = topic.produce("--file", path, ...MAPPED, "--skip-bad");
    assert.equal(await skipping.exitCode(), 0, skipping.tail());
    assert.equal(summary(skipping, "acknowledged"), 3);
    assert.equal(summary(skipping, "skipped_rows"), 1);
  });
});

Deno.test("produce --file --speed --shift-to-now publishes NDJSON at the given speed, and its last reading is from now", async () => {
  await using topic = new TestTopic(await kafka());
  const lines = [0, 30, 60].map((second) =>
    JSON.stringify({ customer_id: 7, timestamp: 1_459_497_240 + second, heart_rate: 60 + second })
  );
  const before = Date.now();
  await withFile("a.ndjson", lines, async (path) => {
    const pace = "--time-format epoch_s --speed 60 --shift-to-now";
    const worker = topic.produce("--file", path, ...pace.split(" "));
    assert.equal(await worker.exitCode(), 0, worker.tail());
    assert.ok(
      summary(worker, "duration_seconds") >= 1,
      "a minute of readings at 60 times the speed took less than a second",
    );
  });
  const stamps = (await topic.records()).map(({ value }) => Date.parse(JSON.parse(value ?? "").timestamp));
  assert.deepEqual(stamps.map((stamp) => stamp - (stamps[0] ?? NaN)), [0, 30_000, 60_000]);
  assert.ok((stamps[2] ?? 0) >= before && (stamps[2] ?? 0) <= Date.now(), "the last reading is not from now");
});
