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

/** A fake broker and a clock that advances only while publish() sleeps. */
class Simulation {
  micros = START_MICROS;
  /** The records that reached the broker, and the time of their arrival. */
  readonly sent: { readonly value: string; readonly atMicros: number }[] = [];
  readonly events: string[] = [];
  readonly stop = new AbortController();
  readonly telemetry: ProducerTelemetry;
  readonly #answer: (batch: Batch) => Promise<void>;
  readonly #onSleep: () => void;

  constructor(answer: (batch: Batch) => Promise<void> = () => Promise.resolve(), onSleep = () => {}) {
    this.#answer = answer;
    this.#onSleep = onSleep;
    const record = (event: string) => void this.events.push(event);
    const log: Log = { debug: () => {}, info: record, warning: record, error: record };
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
      // All other tasks that are ready run first, as with a real timer.
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

Deno.test("publish() sends each record within 10 ms after it is due", async () => {
  const simulation = new Simulation();
  const source = Array.from(schedule(200, 7_000));
  const tally = await simulation.publish(source);
  assert.equal(tally.acknowledged, 200);
  const late = simulation.sent.map(({ value, atMicros }) =>
    atMicros - (source[Number(value)]?.dueMicros ?? NaN)
  );
  assert.deepEqual(late.filter((micros) => !(micros >= 0 && micros < 10_000)), []);
});

Deno.test("publish() buffers at most 20,000 records while Kafka acknowledges nothing, and reports the delay", async () => {
  const released = Promise.withResolvers<void>();
  let taken = 0;
  let blocked = 0;
  const simulation = new Simulation(() => released.promise, () => {
    // All 60,000 records are due after 6 s. The broker answers 3 s later.
    if (simulation.micros <= START_MICROS + 9e6 || blocked > 0) return;
    blocked = taken;
    released.resolve();
  });
  const source = schedule(60_000, 100).map((record) => {
    taken++;
    return record;
  });
  const tally = await simulation.publish(source);
  assert.equal(
    blocked,
    20_001, // a full buffer, and the record that waits for room in it
    "the number of records taken from the source before the first acknowledgement",
  );
  assert.equal(tally.acknowledged, 60_000);
  assert.ok(tally.maxLateMs > 3_000, `the reported delay is ${tally.maxLateMs} ms`);
  assert.ok(simulation.events.includes("publish.late"), `${simulation.events}`);
});

Deno.test("publish() retries until Kafka answers, keeps the order of each customer and logs the outage once", async () => {
  let requests = 0;
  const stored: OutgoingRecord[] = [];
  const simulation = new Simulation(({ records }) => {
    requests++;
    if (requests <= 10) return Promise.reject(new Error("Connection closed"));
    stored.push(...records);
    return Promise.resolve();
  });
  const tally = await simulation.publish(schedule(40, 1));
  assert.equal(tally.acknowledged, 40);
  assert.equal(tally.failed, 0);
  assert.ok(tally.retried > 0);
  for (const [customer, records] of Map.groupBy(stored, ({ key }) => key.toString())) {
    const numbers = records.map(({ value }) => Number(String(value)));
    assert.deepEqual(numbers, numbers.toSorted((a, b) => a - b), customer);
  }
  assert.equal(stored.length, 40);
  assert.deepEqual(simulation.events, ["kafka.unavailable", "kafka.available", "publish.summary"]);
});

Deno.test("publish() sends to the other partitions while one fails, and logs the outage once", async () => {
  let tries = 0;
  let meanwhile = 0;
  const simulation = new Simulation(({ partition, records }) => {
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
  assert.equal((await simulation.publish(source)).failed, 0);
  assert.ok(meanwhile > 0, "nothing was published to other partitions between the attempts");
  const kafkaEvents = simulation.events.filter((event) => event.startsWith("kafka."));
  assert.deepEqual(kafkaEvents, ["kafka.unavailable", "kafka.available"]);
  assert.deepEqual(simulation.telemetry.notReady, []);
});

Deno.test("publish() finds the record that Kafka refuses, and publishes all others", async () => {
  const stored: string[] = [];
  const simulation = new Simulation(({ records }) => {
    const values = records.map(({ value }) => String(value));
    if (values.includes("13")) {
      return Promise.reject(Object.assign(new Error("too large"), { apiId: "MESSAGE_TOO_LARGE" }));
    }
    stored.push(...values);
    return Promise.resolve();
  });
  const { acknowledged, failed } = await simulation.publish(schedule(40, 0));
  assert.deepEqual([acknowledged, failed, new Set(stored).size], [39, 1, 39]);
  assert.equal(simulation.events.filter((event) => event === "record.refused").length, 1);
});

Deno.test("after a stop, publish() sends the records that it has taken, and takes no more", async () => {
  const simulation = new Simulation(undefined, () => {
    if (simulation.micros > START_MICROS + 1e6) simulation.stop.abort();
  });
  const tally = await simulation.publish(schedule(Infinity, 1_000));
  assert.equal(tally.failed, 0);
  assert.equal(tally.acknowledged, tally.sent);
  assert.equal(simulation.sent.length, tally.sent);
  assert.ok(tally.sent >= 1_000 && tally.sent <= 1_020, `${tally.sent}`);
});

Deno.test("publish() sends the records that it took before the source failed, and throws the source's error", async () => {
  const simulation = new Simulation();
  const source = (function* () {
    yield* schedule(10, 0);
    throw new Error("line 12");
  })();
  await assert.rejects(simulation.publish(source), /line 12/);
  assert.equal(simulation.sent.length, 10);
  assert.equal(simulation.telemetry.tally.acknowledged, 10);
});
