import type { LedgerRow } from "../../../workers/consumer/kafka_partition/partition.ts";
import { deepStrictEqual, strictEqual } from "node:assert";
import { Registry } from "prom-client";
import { type ConsumerContext, LogPorts } from "../../../workers/consumer/partition_ports.ts";
import type { WriteOutcome } from "../../../workers/consumer/store/batch.ts";
import { createPlanner } from "../../../workers/consumer/store/plan_batch.ts";
import { createStore } from "../../../workers/consumer/store/store.ts";
import { HealthState } from "../../../workers/consumer/health/health_state.ts";
import { consumerTelemetry } from "../../../workers/consumer/telemetry/telemetry.ts";
import { gapSlice } from "../../../workers/consumer/kafka_partition/slice.ts";
import { batchOf } from "../../support/batch.ts";
import { eventually } from "../../../lab/eventually.ts";
import { LIMITS, NOW } from "../../support/wire_record.ts";

const LOG = { topic: "t", topicId: "i", partition: 3 };
const LEDGER: LedgerRow = { ...LOG, id: 1, generation: 0, firstOffset: 0, nextOffset: 0, leaderEpoch: -1 };

/** Creates the context of the consumer. Only the processing of a batch is real. */
function contextOf(
  healthState: HealthState,
  write: (ledger: LedgerRow) => Promise<WriteOutcome>,
  others = {},
  record: (event: string) => void = () => {},
): ConsumerContext {
  const log = { debug: () => {}, info: record, warning: record, error: record };
  return {
    telemetry: consumerTelemetry({ log, metrics: new Registry() }, healthState, { debug: false }),
    database: { target: "test" },
    plan: createPlanner(LIMITS, () => NOW),
    dayPartitions: { prepare: () => Promise.resolve() },
    // Each test has its own store, because a write that hangs keeps its connection.
    store: createStore({
      writeGroup: async ([batch]) => [await write(batch?.ledger ?? LEDGER)],
      writeChecked: ({ ledger }) => write(ledger),
    }, 4),
    ...others,
  } as unknown as ConsumerContext;
}

/** Creates a write that never ends. */
function createHangingWrite() {
  const begun = Promise.withResolvers<void>();
  const write = () => {
    begun.resolve();
    return new Promise<never>(() => {});
  };
  return { begun: begun.promise, write };
}

const batch = () => batchOf(gapSlice(0, 5, "control"));
const never = new AbortController().signal;

Deno.test("closing a revoked partition does not hide the hanging write of its next assignment", async () => {
  let now = 0;
  const healthState = new HealthState(() => now);
  const { begun, write } = createHangingWrite();
  const context = contextOf(healthState, write);
  const [predecessor, successor] = [
    new LogPorts(context, { ...LOG }),
    new LogPorts(context, { ...LOG }),
  ];
  void successor.write(LEDGER, batch(), never);
  await begun;
  strictEqual(await predecessor.write(LEDGER, batch(), AbortSignal.abort()), undefined);
  now += 31_000;
  deepStrictEqual(healthState.liveReasons(), ["write partition 3: no attempt began or ended for 31 s"]);
});

Deno.test("a batch that waits for its day partitions marks its progress after each day", async () => {
  let now = 0;
  const healthState = new HealthState(() => now);
  const { begun, write } = createHangingWrite();
  const prepare = (_days: unknown, onDay: () => void) => {
    for (let day = 0; day < 3; day++) {
      now += 15_000;
      onDay();
    }
    return Promise.resolve();
  };
  const context = contextOf(healthState, write, { dayPartitions: { prepare } });
  void new LogPorts(context, LOG).write(LEDGER, batch(), never);
  await begun;
  now += 15_000;
  deepStrictEqual(healthState.liveReasons(), []);
});

/** Creates two partitions. A trigger refuses the writes of partition 0 until `repair()`; those of partition 1 succeed. */
function createPartitions() {
  let now = 0;
  let isRepaired = false;
  const healthState = new HealthState(() => now);
  for (const subject of ["database", "kafka", "group"]) healthState.ready(subject);
  const events: string[] = [];
  const write = ({ partition }: LedgerRow): Promise<WriteOutcome> => {
    if (partition > 0 || isRepaired) return Promise.resolve({ kind: "offset mismatch", nextOffset: 5 });
    return Promise.reject(Object.assign(new Error("a trigger"), { code: "P0001" }));
  };
  const context = contextOf(healthState, write, {}, (event) => void events.push(event));
  const [first, second] = [{ ...LOG, partition: 0 }, { ...LOG, partition: 1 }];
  const writeTo = (log: typeof LOG, signal = never) =>
    new LogPorts(context, log).write({ ...LEDGER, partition: log.partition }, batch(), signal);
  return {
    healthState,
    events,
    first,
    second,
    write: writeTo,
    close: context.telemetry.partitionClosed,
    repair: () => void (isRepaired = true),
    pass: (seconds: number) => void (now += seconds * 1_000),
  };
}

const TRIGGER = "database: Cannot write a batch at PostgreSQL test: a trigger (SQLSTATE P0001) (partition 0)";

Deno.test("while the writes of one partition fail and others succeed, readiness names it and one outage is logged", async () => {
  const { healthState, events, first, second, write, repair } = createPartitions();
  const writing = write(first);
  await eventually("a failure", () => healthState.readyReasons().length > 0);
  for (let failures = 0; failures < 3; failures++) {
    await write(second);
    deepStrictEqual(healthState.readyReasons(), [TRIGGER]);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  deepStrictEqual(events.filter((event) => event.startsWith("database.")), ["database.failed"]);
  repair();
  await writing;
  deepStrictEqual(healthState.readyReasons(), []);
  deepStrictEqual(events.filter((event) => event.startsWith("database.")), [
    "database.failed",
    "database.recovered",
  ]);
});

Deno.test("the reason of a failing partition is removed when the partition is closed", async () => {
  const { healthState, first, write, close } = createPartitions();
  const closing = new AbortController();
  const writing = write(first, closing.signal);
  await eventually("a failure", () => healthState.readyReasons().length > 0);
  closing.abort();
  strictEqual(await writing, undefined);
  deepStrictEqual(healthState.readyReasons(), [TRIGGER]);
  close(first);
  deepStrictEqual(healthState.readyReasons(), []);
});

Deno.test("liveness fails for a partition whose writes all fail, until a write succeeds", async () => {
  const { healthState, first, write, pass, repair } = createPartitions();
  healthState.lag(5);
  const isStuck = () => {
    healthState.answered("kafka");
    healthState.answered("database");
    return healthState.liveReasons().some((reason) =>
      reason.includes("nothing was committed of partition 0")
    );
  };
  const writing = write(first);
  await eventually("the partition to count as stuck", () => {
    pass(1);
    return isStuck();
  });
  repair();
  await writing;
  strictEqual(isStuck(), false);
});
