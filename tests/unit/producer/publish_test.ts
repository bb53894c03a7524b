import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { Registry } from "prom-client";
import type { KafkaConnection } from "../../../workers/_shared/kafka/client.ts";
import type { Log } from "../../../workers/_shared/telemetry.ts";
import { publish } from "../../../workers/producer/publish/publish.ts";
import type { Batch, OutgoingRecord, Tally } from "../../../workers/producer/publish/records.ts";
import { ProducerTelemetry } from "../../../workers/producer/publish/telemetry.ts";

const START_MICROS = 1_000_000_000;
const CONNECTION = { topic: "heartbeats", servers: "nowhere:1" } as unknown as KafkaConnection;

/** A broker that answers as it is told, in a time that passes only while somebody sleeps. */
class Field {
  micros = START_MICROS;
  /** What reached the broker, with the instant. */
  readonly sent: { readonly value: string; readonly atMicros: number }[] = [];
  readonly events: string[] = [];
  readonly stop = new AbortController();
  readonly telemetry: ProducerTelemetry;
  readonly #answer: (batch: Batch) => Promise<void>;
  readonly #onSleep: () => void;

  constructor(answer: (batch: Batch) => Promise<void> = () => Promise.resolve(), onSleep = () => {}) {
    this.#answer = answer;
    this.#onSleep = onSleep;
    const say = (event: string) => void this.events.push(event);
    const log: Log = { debug: () => {}, info: say, warning: say, error: say };
    this.telemetry = new ProducerTelemetry(log, new Registry(), { eachRecord: false });
  }

  async publish(records: Iterable<OutgoingRecord>): Promise<Tally> {
    const send = async (batch: Batch) => {
      const { partition, records } = batch;
      for (const { value } of records) this.sent.push({ value: String(value), atMicros: this.micros });
      await this.#answer(batch);
      return { partition, firstOffset: 0n };
    };
    const sleep = async (ms: number) => {
      this.#onSleep();
      this.micros += ms * 1000;
      // Everything that is ready goes first, as with a real timer.
      await new Promise((resolve) => setTimeout(resolve, 0));
    };
    const start = async function* () {
      yield records;
    };
    await publish(
      { start, expected: undefined, recordsPerSecond: 10_000 },
      { sender: { send }, connection: CONNECTION, partitions: 6, telemetry: this.telemetry },
      { clock: { nowMicros: () => this.micros, sleep }, signal: this.stop.signal },
    );
    return this.telemetry.tally;
  }
}

function* schedule(count: number, spacingMicros: number): Generator<OutgoingRecord> {
  for (let number = 0; number < count; number++) {
    const key = Buffer.from(`customer-${number % 7}`);
    yield { key, value: Buffer.from(String(number)), dueMicros: START_MICROS + number * spacingMicros };
  }
}

Deno.test("publish() offers each record at its instant, not before and not a tick later", async () => {
  const field = new Field();
  const source = Array.from(schedule(200, 7_000));
  const tally = await field.publish(source);
  assert.equal(tally.acknowledged, 200);
  const late = field.sent.map(({ value, atMicros }) => atMicros - (source[Number(value)]?.dueMicros ?? NaN));
  assert.deepEqual(late.filter((micros) => !(micros >= 0 && micros < 10_000)), []);
});

Deno.test("publish() offers on time while nothing is acknowledged, and bounds what it holds", async () => {
  const released = Promise.withResolvers<void>();
  let taken = 0;
  let blocked = 0;
  const field = new Field(() => released.promise, () => {
    // All 60,000 are due after 6 s; a while later the broker answers.
    if (field.micros <= START_MICROS + 9e6 || blocked > 0) return;
    blocked = taken;
    released.resolve();
  });
  const source = schedule(60_000, 100).map((record) => {
    taken++;
    return record;
  });
  const tally = await field.publish(source);
  assert.equal(blocked, 20_001, "what was taken from the source while nothing was acknowledged");
  assert.equal(tally.acknowledged, 60_000);
  assert.ok(tally.maxLateMs > 3_000, `the delay is told: ${tally.maxLateMs} ms`);
  assert.ok(field.events.includes("publish.late"), `${field.events}`);
});

Deno.test("publish() tries again until Kafka answers, in the order of each customer, and says it once", async () => {
  let requests = 0;
  const stored: OutgoingRecord[] = [];
  const field = new Field(({ records }) => {
    requests++;
    if (requests <= 10) return Promise.reject(new Error("Connection closed"));
    stored.push(...records);
    return Promise.resolve();
  });
  const tally = await field.publish(schedule(40, 1));
  assert.equal(tally.acknowledged, 40);
  assert.equal(tally.failed, 0);
  assert.ok(tally.retried > 0);
  for (const [customer, records] of Map.groupBy(stored, ({ key }) => key.toString())) {
    const numbers = records.map(({ value }) => Number(String(value)));
    assert.deepEqual(numbers, numbers.toSorted((a, b) => a - b), customer);
  }
  assert.equal(stored.length, 40);
  assert.deepEqual(field.events, ["kafka.unavailable", "kafka.available", "publish.summary"]);
});

Deno.test("publish() goes on with the other partitions while one takes nothing, and says that once", async () => {
  let tries = 0;
  let meanwhile = 0;
  const field = new Field(({ partition, records }) => {
    if (partition === 0 && ++tries <= 4) return Promise.reject(new Error("Connection closed"));
    if (partition !== 0 && tries > 2) meanwhile += records.length;
    return Promise.resolve();
  });
  const source = (function* () {
    for (const record of schedule(100_000, 10_000)) {
      if (tries > 4) return;
      yield record;
    }
  })();
  assert.equal((await field.publish(source)).failed, 0);
  assert.ok(meanwhile > 0, "others were published between the tries");
  const said = field.events.filter((event) => event.startsWith("kafka."));
  assert.deepEqual(said, ["kafka.unavailable", "kafka.available"]);
  assert.deepEqual(field.telemetry.notReady, []);
});

Deno.test("publish() finds the one record that Kafka refuses and publishes its neighbours", async () => {
  const stored: string[] = [];
  const field = new Field(({ records }) => {
    const values = records.map(({ value }) => String(value));
    if (values.includes("13")) {
      return Promise.reject(Object.assign(new Error("too large"), { apiId: "MESSAGE_TOO_LARGE" }));
    }
    stored.push(...values);
    return Promise.resolve();
  });
  const { acknowledged, failed } = await field.publish(schedule(40, 0));
  assert.deepEqual([acknowledged, failed, new Set(stored).size], [39, 1, 39]);
  assert.equal(field.events.filter((event) => event === "record.refused").length, 1);
});

Deno.test("publish() flushes what it has taken when it is stopped, and takes no more", async () => {
  const field = new Field(undefined, () => {
    if (field.micros > START_MICROS + 1e6) field.stop.abort();
  });
  const tally = await field.publish(schedule(Infinity, 1_000));
  assert.equal(tally.failed, 0);
  assert.equal(tally.acknowledged, tally.sent);
  assert.equal(field.sent.length, tally.sent);
  assert.ok(tally.sent >= 1_000 && tally.sent <= 1_020, `${tally.sent}`);
});

Deno.test("publish() delivers what it took before the source failed, and hands the error on", async () => {
  const field = new Field();
  const source = (function* () {
    yield* schedule(10, 0);
    throw new Error("line 12");
  })();
  await assert.rejects(field.publish(source), /line 12/);
  assert.equal(field.sent.length, 10);
  assert.equal(field.telemetry.tally.acknowledged, 10);
});
