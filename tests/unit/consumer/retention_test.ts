import { deepStrictEqual, strictEqual } from "node:assert";
import { type RetentionPorts, retentionRounds } from "../../../workers/consumer/retention.ts";

const LOCK_TIMEOUT = Object.assign(new Error("canceling statement due to lock timeout"), { code: "55P03" });
const ROUND_MS = 15_000;

Deno.test("what cannot be dropped for a lock is asked for again minutes later, and minutes are deleted meanwhile", async () => {
  const asked = { drop: 0, minutes: 0 };
  const failures: unknown[] = [];
  const dropped: string[] = [];
  let now = 0;
  let held = true;
  const query = (sql: string) => {
    if (sql.includes("heartbeats_1m")) asked.minutes++;
    if (!sql.includes("drop_old_heartbeat_partition")) return Promise.resolve([]);
    asked.drop++;
    if (held) return Promise.reject(LOCK_TIMEOUT);
    return Promise.resolve([{ dropped: dropped.length === 0 ? "heartbeats_d20240101" : null }]);
  };
  const ports = {
    database: { query },
    dayPartitions: { makeAhead: () => Promise.resolve(), retryFailed: () => Promise.resolve() },
    clocks: { own: () => 0, database: () => 0 },
    telemetry: {
      onDropped: (partition: string) => dropped.push(partition),
      retentionFailed: (error: unknown) => failures.push(error),
    },
  } as unknown as RetentionPorts;
  const kept = { retentionDays: 10, minuteRetentionDays: 20, rejectRetentionDays: undefined };
  const round = retentionRounds(ports, kept, () => now);
  for (; now < 300_000; now += ROUND_MS) await round();
  deepStrictEqual(asked, { drop: 1, minutes: 20 });
  deepStrictEqual(failures, [LOCK_TIMEOUT]);
  held = false;
  await round();
  deepStrictEqual(dropped, ["heartbeats_d20240101"]);
  strictEqual(failures.length, 1);
});
