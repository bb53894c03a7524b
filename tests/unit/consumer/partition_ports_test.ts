import { deepStrictEqual, strictEqual } from "node:assert";
import type { LedgerRow } from "../../../workers/consumer/ledger.ts";
import { type Environment, partitionPorts } from "../../../workers/consumer/partition_ports.ts";
import { planBy } from "../../../workers/consumer/plan_batch.ts";
import { Progress } from "../../../workers/consumer/progress.ts";
import { gapSlice } from "../../../workers/consumer/slice.ts";
import { decode, LIMITS, NOW } from "../../support/wire_record.ts";

const LOG = { topic: "t", topicId: "i", partition: 3 };
const LEDGER: LedgerRow = { ...LOG, id: 1, generation: 0, firstOffset: 0, nextOffset: 0, leaderEpoch: -1 };

Deno.test("a partition that is given away leaves it to be seen that its successor's write hangs", async () => {
  let now = 0;
  const progress = new Progress(() => now);
  const hanging = Promise.withResolvers<void>();
  const environment = {
    progress,
    plan: planBy(decode, LIMITS, () => NOW),
    dayPartitions: { prepare: () => Promise.resolve() },
    turns: { take: (_: number, attempt: () => Promise<unknown>) => attempt() },
    sink: {
      write: () => {
        hanging.resolve();
        return new Promise(() => {});
      },
    },
  };
  const open = () => partitionPorts(environment as unknown as Environment, LOG);
  const [predecessor, successor] = [open(), open()];
  void successor.write(LEDGER, gapSlice(0, 5, "control"), new AbortController().signal);
  await hanging.promise;
  const given = await predecessor.write(LEDGER, gapSlice(0, 5, "control"), AbortSignal.abort());
  strictEqual(given, undefined);
  now += 31_000;
  deepStrictEqual(progress.liveReasons(), ["write partition 3: no attempt began or ended for 31 s"]);
});

Deno.test("a batch whose partitions take long is seen to get on", async () => {
  let now = 0;
  const progress = new Progress(() => now);
  const written = Promise.withResolvers<void>();
  const environment = {
    progress,
    plan: planBy(decode, LIMITS, () => NOW),
    dayPartitions: {
      prepare: (_days: unknown, onDay: () => void) => {
        for (let day = 0; day < 3; day++) {
          now += 15_000;
          onDay();
        }
        return Promise.resolve();
      },
    },
    turns: { take: (_: number, attempt: () => Promise<unknown>) => attempt() },
    sink: {
      write: () => {
        written.resolve();
        return new Promise(() => {});
      },
    },
  };
  const ports = partitionPorts(environment as unknown as Environment, LOG);
  void ports.write(LEDGER, gapSlice(0, 5, "control"), new AbortController().signal);
  await written.promise;
  now += 15_000;
  deepStrictEqual(progress.liveReasons(), []);
});
