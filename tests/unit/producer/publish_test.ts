import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { Registry } from "prom-client";
import type { KafkaConnection } from "../../../workers/_shared/kafka/client.ts";
import type { Log } from "../../../workers/_shared/telemetry.ts";
import type { Target } from "../../../workers/producer/publish/lanes.ts";
import { type Clock, publish as publishTo } from "../../../workers/producer/publish/publish.ts";
import type { OutgoingRecord, Tally } from "../../../workers/producer/publish/records.ts";
import { ProducerTelemetry } from "../../../workers/producer/publish/telemetry.ts";

const CONNECTION = {
  topic: "heartbeats",
  servers: "nowhere:1",
  options: {},
  secrets: [],
} as unknown as KafkaConnection;

async function publish(
  records: Iterable<OutgoingRecord>,
  { sender, telemetry, clock, signal = new AbortController().signal }: {
    sender: Target["sender"];
    telemetry: ProducerTelemetry;
    clock: Clock;
    signal?: AbortSignal;
  },
): Promise<Tally> {
  const source = {
    start: async function* () {
      yield records;
    },
    expected: undefined,
    recordsPerSecond: 10_000,
  };
  const target = { sender, connection: CONNECTION, partitions: 6, telemetry };
  await publishTo(source, target, { clock, signal });
  return telemetry.tally;
}

/** Time that passes only while somebody sleeps. */
class FakeClock implements Clock {
  micros = 1_000_000_000;
  readonly nowMicros = () => this.micros;
  readonly sleep = async (ms: number) => {
    this.micros += ms * 1000;
    // Everything that is ready goes first, as with a real timer.
    await new Promise((resolve) => setTimeout(resolve, 0));
  };
}

/** A broker that answers as it is told; `sent` is what reached it, with the instant. */
function fakeBroker(clock: FakeClock, answer: (batch: readonly OutgoingRecord[]) => Promise<void>) {
  const sent: { readonly value: string; readonly atMicros: number }[] = [];
  const sender: Target["sender"] = {
    send: async ({ partition, records }) => {
      for (const { value } of records) sent.push({ value: String(value), atMicros: clock.micros });
      await answer(records);
      return { partition, firstOffset: 0n };
    },
  };
  return { sender, sent };
}

function fakeLog() {
  const events: string[] = [];
  const say = (event: string) => void events.push(event);
  const log: Log = { debug: () => {}, info: say, warning: say, error: say };
  return { events, telemetry: new ProducerTelemetry(log, new Registry(), { eachRecord: false }) };
}

function* schedule(clock: FakeClock, count: number, spacingMicros: number): Generator<OutgoingRecord> {
  const startMicros = clock.micros;
  for (let number = 0; number < count; number++) {
    yield {
      key: Buffer.from(`customer-${number % 7}`),
      value: Buffer.from(String(number)),
      dueMicros: startMicros + number * spacingMicros,
    };
  }
}

Deno.test("publish() offers each record at its instant, not before and not a tick later", async () => {
  const clock = new FakeClock();
  const { sender, sent } = fakeBroker(clock, () => Promise.resolve());
  const source = Array.from(schedule(clock, 200, 7_000));
  const { telemetry } = fakeLog();
  const tally = await publish(source, { sender, telemetry: telemetry, clock });
  assert.equal(tally.acknowledged, 200);
  const late = sent.map(({ value, atMicros }) => atMicros - (source[Number(value)]?.dueMicros ?? NaN));
  assert.deepEqual(late.filter((micros) => !(micros >= 0 && micros < 10_000)), []);
});

Deno.test("publish() offers on time while nothing is acknowledged, and bounds what it holds", async () => {
  const clock = new FakeClock();
  const released = Promise.withResolvers<void>();
  const { sender } = fakeBroker(clock, () => released.promise);
  let taken = 0;
  const source = (function* () {
    for (const record of schedule(clock, 60_000, 100)) {
      taken++;
      yield record;
    }
  })();
  const { telemetry, events } = fakeLog();
  let blocked = 0;
  const tally = await publish(source, {
    sender,
    telemetry,
    clock: {
      nowMicros: clock.nowMicros,
      sleep: async (ms) => {
        // All 60,000 are due after 6 s; a while later the broker answers.
        if (clock.micros > 1_000_000_000 + 9e6 && blocked === 0) {
          blocked = taken;
          released.resolve();
        }
        await clock.sleep(ms);
      },
    },
  });
  assert.equal(blocked, 20_001, "what was taken from the source while nothing was acknowledged");
  assert.equal(tally.acknowledged, 60_000);
  assert.ok(tally.maxLateMs > 3_000, `the delay is told: ${tally.maxLateMs} ms`);
  assert.ok(events.includes("publish.late"), `${events}`);
});

Deno.test("publish() tries again until Kafka answers, in the order of each customer, and says it once", async () => {
  const clock = new FakeClock();
  let requests = 0;
  const stored: OutgoingRecord[] = [];
  const { sender } = fakeBroker(clock, (batch) => {
    requests++;
    if (requests <= 10) return Promise.reject(new Error("Connection closed"));
    stored.push(...batch);
    return Promise.resolve();
  });
  const { telemetry, events } = fakeLog();
  const tally = await publish(schedule(clock, 40, 1), { sender, telemetry: telemetry, clock });
  assert.equal(tally.acknowledged, 40);
  assert.equal(tally.failed, 0);
  assert.ok(tally.retried > 0);
  const last = new Map<string, number>();
  for (const { key, value } of stored) {
    const number = Number(String(value));
    assert.ok(
      number > (last.get(key.toString()) ?? -1),
      `${key} got ${number} after ${last.get(key.toString())}`,
    );
    last.set(key.toString(), number);
  }
  assert.equal(stored.length, 40);
  assert.deepEqual(events, ["kafka.unavailable", "kafka.available", "publish.summary"]);
});

Deno.test("publish() goes on with the other partitions while one takes nothing, and says that once", async () => {
  const clock = new FakeClock();
  const { telemetry, events } = fakeLog();
  let tries = 0;
  let meanwhile = 0;
  const sender: Target["sender"] = {
    send: ({ partition, records }) => {
      if (partition === 0 && ++tries <= 4) return Promise.reject(new Error("Connection closed"));
      if (partition !== 0 && tries > 2) meanwhile += records.length;
      return Promise.resolve({ partition, firstOffset: 0n });
    },
  };
  const source = (function* () {
    for (const record of schedule(clock, 100_000, 10_000)) {
      if (tries > 4) return;
      yield record;
    }
  })();
  const tally = await publish(source, { sender, telemetry: telemetry, clock });
  assert.equal(tally.failed, 0);
  assert.ok(meanwhile > 0, "others were published between the tries");
  const said = events.filter((event) => event.startsWith("kafka."));
  assert.deepEqual(said, ["kafka.unavailable", "kafka.available"]);
  assert.deepEqual(telemetry.notReady, []);
});

Deno.test("publish() finds the one record that Kafka refuses and publishes its neighbours", async () => {
  const clock = new FakeClock();
  const stored: string[] = [];
  const { sender } = fakeBroker(clock, (batch) => {
    if (batch.some(({ value }) => String(value) === "13")) {
      return Promise.reject(Object.assign(new Error("too large"), { apiId: "MESSAGE_TOO_LARGE" }));
    }
    stored.push(...batch.map(({ value }) => String(value)));
    return Promise.resolve();
  });
  const { telemetry, events } = fakeLog();
  const tally = await publish(schedule(clock, 40, 0), { sender, telemetry: telemetry, clock });
  assert.deepEqual({ acknowledged: tally.acknowledged, failed: tally.failed }, {
    acknowledged: 39,
    failed: 1,
  });
  assert.equal(new Set(stored).size, 39);
  assert.equal(events.filter((event) => event === "record.refused").length, 1);
});

Deno.test("publish() flushes what it has taken when it is stopped, and takes no more", async () => {
  const clock = new FakeClock();
  const stop = new AbortController();
  const { sender, sent } = fakeBroker(clock, () => Promise.resolve());
  const { telemetry } = fakeLog();
  const tally = await publish(schedule(clock, Infinity, 1_000), {
    sender,
    telemetry,
    clock: {
      nowMicros: clock.nowMicros,
      sleep: (ms) => {
        if (clock.micros > 1_000_000_000 + 1e6) stop.abort();
        return clock.sleep(ms);
      },
    },
    signal: stop.signal,
  });
  assert.equal(tally.failed, 0);
  assert.equal(tally.acknowledged, tally.sent);
  assert.equal(sent.length, tally.sent);
  assert.ok(tally.sent >= 1_000 && tally.sent <= 1_020, `${tally.sent}`);
});

Deno.test("publish() delivers what it took before the source failed, and hands the error on", async () => {
  const clock = new FakeClock();
  const { sender, sent } = fakeBroker(clock, () => Promise.resolve());
  const source = (function* () {
    yield* schedule(clock, 10, 0);
    throw new Error("line 12");
  })();
  const { telemetry } = fakeLog();
  await assert.rejects(publish(source, { sender, telemetry, clock }), /line 12/);
  assert.equal(sent.length, 10);
  assert.equal(telemetry.tally.acknowledged, 10);
});
