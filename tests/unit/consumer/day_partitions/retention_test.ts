import { deepStrictEqual, match, strictEqual } from "node:assert";
import type { PipelineError } from "../../../../workers/_shared/errors.ts";
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

function portsOf(query: (sql: string) => Promise<unknown[]>, dayPartitions: object = {}) {
  const reported = { failing: new Map<string, string>(), dropped: [] as string[], many: [] as number[] };
  const queryOfSession = async (sql: string) => {
    const rows = await query(sql);
    return { rows, rowCount: rows.length };
  };
  const ports = {
    database: {
      query,
      transaction: (work: (session: object) => unknown) => work({ query: queryOfSession }),
      target: "db:5432/heartbeat_db",
    },
    dayPartitions,
    clocks: { own: () => 0, database: () => 0 },
    floor: { ask: () => Promise.resolve() },
    telemetry: {
      tablePartitionDropped: (partition: string) => reported.dropped.push(partition),
      tablePartitionsMany: (partitions: number) => reported.many.push(partitions),
      upkeepDone: (task: string) => void reported.failing.delete(task),
      upkeepFailed: (task: string, failure: PipelineError) =>
        void reported.failing.set(task, failure.message),
    },
  } as unknown as RetentionPorts;
  return { reported, ports };
}

const OPTIONS = {
  retentionDays: 10,
  minuteRetentionDays: 20,
  rejectRetentionDays: undefined,
  signal: new AbortController().signal,
};

Deno.test("retention retries a locked day partition after minutes, and deletes minute aggregates meanwhile", async () => {
  const asked = { drop: 0, minutes: 0 };
  let now = 0;
  let held = true;
  const { reported, ports } = portsOf((sql) => {
    if (sql.includes("heartbeats_1m")) asked.minutes++;
    if (!sql.includes("drop_old_heartbeat_partition")) return Promise.resolve([]);
    asked.drop++;
    if (held) return Promise.reject(LOCK_TIMEOUT);
    return Promise.resolve([{ step: reported.dropped.length === 0 ? STEPS.shift() : null }]);
  });
  const STEPS = ["heartbeats_d20240101", "heartbeats_d20240101", null];
  const round = retentionRounds({ ...ports, clock: () => now }, OPTIONS);
  for (; now < 300_000; now += ROUND_MS) await round();
  deepStrictEqual(asked, { drop: 1, minutes: 20 });
  match(
    reported.failing.get("retention") ?? "",
    /^Cannot drop old readings at PostgreSQL .*\(SQLSTATE 55P03\)$/,
  );
  held = false;
  await round();
  deepStrictEqual(reported.dropped, ["heartbeats_d20240101"], "not reported once after the last step");
  strictEqual(reported.failing.size, 0);
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
  Deno.test(`a failing ${name} is reported until it succeeds`, async () => {
    let now = 0;
    let fails = true;
    const { reported, ports } = portsOf((sql) =>
      fails && sql.includes(statement) ? Promise.reject(STATEMENT_TIMEOUT) : Promise.resolve([])
    );
    const round = retentionRounds({ ...ports, clock: () => now }, { ...OPTIONS, rejectRetentionDays: 7 });
    await round();
    deepStrictEqual([...reported.failing.keys()], [name]);
    match(reported.failing.get(name) ?? "", message);
    fails = false;
    now += 300_000;
    await round();
    deepStrictEqual(reported.failing.size, 0);
  });
}

Deno.test("retention reports a failure of partitions if it cannot move readings out of the default partition", async () => {
  const { reported, ports } = portsOf(
    () => Promise.resolve([{ partitions: 3 }]),
    partitions(STATEMENT_TIMEOUT),
  );
  await partitionRounds(ports)();
  match(reported.failing.get("partitions") ?? "", /^Cannot make partitions/);
});

Deno.test("retention reports once that there are more day partitions than the limit", async () => {
  let count = 729;
  const { reported, ports } = portsOf(() => Promise.resolve([{ partitions: count++ }]), partitions());
  const round = partitionRounds({ ...ports, clock: () => 0 });
  for (let rounds = 0; rounds < 5; rounds++) await round();
  deepStrictEqual(reported.many, [730]);
});
