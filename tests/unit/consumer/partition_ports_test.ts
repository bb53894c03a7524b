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

/** What the ports of a log work with; nothing of it but the processing of a batch is real. */
function environmentOf(
  progress: HealthState,
  write: (ledger: LedgerRow) => Promise<WriteOutcome>,
  others = {},
  say: (event: string) => void = () => {},
): ConsumerContext {
  const log = { debug: () => {}, info: say, warning: say, error: say };
  return {
    telemetry: consumerTelemetry({ log, metrics: new Registry() }, progress, { debug: false }),
    database: { target: "test" },
    plan: createPlanner(LIMITS, () => NOW),
    dayPartitions: { prepare: () => Promise.resolve() },
    // Not shared by tests, nor by partitions: each write that hangs has a connection of its own.
    store: createStore({
      writeGroup: async ([batch]) => [await write(batch?.ledger ?? LEDGER)],
      writeChecked: ({ ledger }) => write(ledger),
    }, 4),
    ...others,
  } as unknown as ConsumerContext;
}

/** A write that never ends. */
function hanging() {
  const begun = Promise.withResolvers<void>();
  const write = () => {
    begun.resolve();
    return new Promise<never>(() => {});
  };
  return { begun: begun.promise, write };
}

const batch = () => batchOf(gapSlice(0, 5, "control"));
const never = new AbortController().signal;

Deno.test("a partition that is given away leaves it to be seen that its successor's write hangs", async () => {
  let now = 0;
  const progress = new HealthState(() => now);
  const { begun, write } = hanging();
  const environment = environmentOf(progress, write);
  const [predecessor, successor] = [
    new LogPorts(environment, { ...LOG }),
    new LogPorts(environment, { ...LOG }),
  ];
  void successor.write(LEDGER, batch(), never);
  await begun;
  strictEqual(await predecessor.write(LEDGER, batch(), AbortSignal.abort()), undefined);
  now += 31_000;
  deepStrictEqual(progress.liveReasons(), ["write partition 3: no attempt began or ended for 31 s"]);
});

Deno.test("a batch whose partitions take long is seen to get on", async () => {
  let now = 0;
  const progress = new HealthState(() => now);
  const { begun, write } = hanging();
  const prepare = (_days: unknown, onDay: () => void) => {
    for (let day = 0; day < 3; day++) {
      now += 15_000;
      onDay();
    }
    return Promise.resolve();
  };
  const environment = environmentOf(progress, write, { dayPartitions: { prepare } });
  void new LogPorts(environment, LOG).write(LEDGER, batch(), never);
  await begun;
  now += 15_000;
  deepStrictEqual(progress.liveReasons(), []);
});

/** Partition 0, which a trigger refuses until it is repaired, and others that get on. */
function refused() {
  let now = 0;
  let isRepaired = false;
  const progress = new HealthState(() => now);
  for (const subject of ["database", "kafka", "group"]) progress.ready(subject);
  const said: string[] = [];
  const write = ({ partition }: LedgerRow): Promise<WriteOutcome> => {
    if (partition > 0 || isRepaired) return Promise.resolve({ kind: "offset mismatch", nextOffset: 5 });
    return Promise.reject(Object.assign(new Error("a trigger"), { code: "P0001" }));
  };
  const environment = environmentOf(progress, write, {}, (event) => void said.push(event));
  const [first, second] = [{ ...LOG, partition: 0 }, { ...LOG, partition: 1 }];
  const writeTo = (log: typeof LOG, signal = never) =>
    new LogPorts(environment, log).write({ ...LEDGER, partition: log.partition }, batch(), signal);
  return {
    progress,
    said,
    first,
    second,
    write: writeTo,
    close: environment.telemetry.partitionClosed,
    repair: () => void (isRepaired = true),
    pass: (seconds: number) => void (now += seconds * 1_000),
  };
}

const TRIGGER = "database: Cannot write a batch at PostgreSQL test: a trigger (SQLSTATE P0001) (partition 0)";

Deno.test("a partition that the database refuses stays not ready, and its outage is said once, while another is written", async () => {
  const { progress, said, first, second, write, repair } = refused();
  const writing = write(first);
  await eventually("a failure", () => progress.readyReasons().length > 0);
  for (let failures = 0; failures < 3; failures++) {
    await write(second);
    deepStrictEqual(progress.readyReasons(), [TRIGGER]);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  deepStrictEqual(said.filter((event) => event.startsWith("database.")), ["database.failed"]);
  repair();
  await writing;
  deepStrictEqual(progress.readyReasons(), []);
  deepStrictEqual(said.filter((event) => event.startsWith("database.")), [
    "database.failed",
    "database.recovered",
  ]);
});

Deno.test("what the database refused a partition is not said of it any more once that is closed", async () => {
  const { progress, first, write, close } = refused();
  const closing = new AbortController();
  const writing = write(first, closing.signal);
  await eventually("a failure", () => progress.readyReasons().length > 0);
  closing.abort();
  strictEqual(await writing, undefined);
  deepStrictEqual(progress.readyReasons(), [TRIGGER]);
  close(first);
  deepStrictEqual(progress.readyReasons(), []);
});

Deno.test("a partition whose every try to write the database refuses counts as stuck until it is written", async () => {
  const { progress, first, write, pass, repair } = refused();
  progress.lag(5);
  const isStuck = () => {
    progress.answered("kafka");
    progress.answered("database");
    return progress.liveReasons().some((reason) => reason.includes("nothing was committed of partition 0"));
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
