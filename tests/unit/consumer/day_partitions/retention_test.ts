import { deepStrictEqual, match, strictEqual } from "node:assert";
import { Progress } from "../../../../workers/consumer/health/progress.ts";
import {
  partitionRounds,
  type RetentionPorts,
  retentionRounds,
} from "../../../../workers/consumer/day_partitions/retention.ts";

const LOCK_TIMEOUT = Object.assign(new Error("canceling statement due to lock timeout"), { code: "55P03" });
const STATEMENT_TIMEOUT = Object.assign(new Error("canceling statement due to statement timeout"), {
  code: "57014",
});
const ROUND_MS = 15_000;
const HOUR_MS = 3_600_000;

/** @param query answers what is asked of the database */
function portsOf(query: (sql: string) => Promise<unknown[]>, dayPartitions: object = {}) {
  const told = { failures: [] as unknown[], dropped: [] as string[], many: [] as number[] };
  const queryOfSession = async (sql: string) => {
    const rows = await query(sql);
    return { rows, rowCount: rows.length };
  };
  const progress = new Progress();
  for (const subject of ["database", "kafka", "group"]) progress.ready(subject);
  const ports = {
    database: {
      query,
      transaction: (work: (session: object) => unknown) => work({ query: queryOfSession }),
      target: "db:5432/heartbeat_db",
    },
    dayPartitions,
    clocks: { own: () => 0, database: () => 0 },
    floor: { ask: () => Promise.resolve() },
    progress,
    telemetry: {
      onDropped: (partition: string) => told.dropped.push(partition),
      partitionsMany: (partitions: number) => told.many.push(partitions),
      retentionFailed: (error: unknown) => told.failures.push(error),
    },
  } as unknown as RetentionPorts;
  return { told, progress, ports };
}

const OPTIONS = {
  retentionDays: 10,
  minuteRetentionDays: 20,
  rejectRetentionDays: undefined,
  signal: new AbortController().signal,
};

Deno.test("what cannot be dropped for a lock is asked for again minutes later, and minutes are deleted meanwhile", async () => {
  const asked = { drop: 0, minutes: 0 };
  let now = 0;
  let held = true;
  const { told, ports } = portsOf((sql) => {
    if (sql.includes("heartbeats_1m")) asked.minutes++;
    if (!sql.includes("drop_old_heartbeat_partition")) return Promise.resolve([]);
    asked.drop++;
    if (held) return Promise.reject(LOCK_TIMEOUT);
    return Promise.resolve([{ step: told.dropped.length === 0 ? STEPS.shift() : null }]);
  });
  const STEPS = ["heartbeats_d20240101", "heartbeats_d20240101", null];
  const round = retentionRounds({ ...ports, clock: () => now }, OPTIONS);
  for (; now < 300_000; now += ROUND_MS) await round();
  deepStrictEqual(asked, { drop: 1, minutes: 20 });
  deepStrictEqual(told.failures, [LOCK_TIMEOUT]);
  held = false;
  await round();
  deepStrictEqual(told.dropped, ["heartbeats_d20240101"], "once, when its last step is done");
  strictEqual(told.failures.length, 1);
});

const partitions = (emptied?: unknown) => ({
  makeAhead: () => Promise.resolve(undefined),
  emptyDefault: () => Promise.resolve(emptied),
});

const FAILING = [
  [
    "retention",
    "drop_old_heartbeat_partition",
    /Cannot drop old readings at PostgreSQL db:5432.*\(SQLSTATE 57014\)$/,
  ],
  ["retention of minutes", "heartbeats_1m", /Cannot delete old minutes/],
  ["retention of rejects", "heartbeat_rejects", /Cannot empty old rejects/],
  ["retention of latest readings", "customer_latest", /Cannot delete old latest readings/],
] as const;

for (const [name, statement, message] of FAILING) {
  Deno.test(`a ${name} that has failed for an hour is not ready, and is ready again once it succeeds`, async () => {
    let now = 0;
    let fails = true;
    const { progress, ports } = portsOf((sql) =>
      fails && sql.includes(statement) ? Promise.reject(STATEMENT_TIMEOUT) : Promise.resolve([])
    );
    const round = retentionRounds({ ...ports, clock: () => now }, { ...OPTIONS, rejectRetentionDays: 7 });
    for (; now < HOUR_MS; now += ROUND_MS) await round();
    deepStrictEqual(progress.readyReasons(), [], "not an hour yet");
    for (; now <= HOUR_MS + 300_000; now += ROUND_MS) await round();
    const [reason = "", ...others] = progress.readyReasons();
    match(reason, new RegExp(`^${name}: failing for \\d\\d minutes: `));
    match(reason, message);
    deepStrictEqual(others, []);
    fails = false;
    now += 300_000;
    await round();
    deepStrictEqual(progress.readyReasons(), []);
  });
}

Deno.test("readings that cannot leave the default partition for an hour are not ready either", async () => {
  let now = 0;
  const { told, progress, ports } = portsOf(
    () => Promise.resolve([{ partitions: 3 }]),
    partitions(STATEMENT_TIMEOUT),
  );
  const round = partitionRounds({ ...ports, clock: () => now });
  for (; now <= HOUR_MS + 300_000; now += ROUND_MS) await round();
  match(progress.readyReasons().join(), /^partitions: failing for \d\d minutes: Cannot make partitions/);
  deepStrictEqual(told.failures, [], "told when it failed, day by day");
});

Deno.test("partitions that grow too many are told of once", async () => {
  let count = 729;
  const { told, ports } = portsOf(() => Promise.resolve([{ partitions: count++ }]), partitions());
  const round = partitionRounds({ ...ports, clock: () => 0 });
  for (let rounds = 0; rounds < 5; rounds++) await round();
  deepStrictEqual(told.many, [730]);
});
