import { ok, strictEqual } from "node:assert";
import { type Intended, judge, type JudgeOptions } from "../support/judge.ts";
import type { Place } from "../../lab/place.ts";
import type { Sent } from "../../lab/produce.ts";
import type { WorkerProcess } from "../../lab/worker_process.ts";
import { peakMemory } from "../support/resources.ts";

const MEGABYTE = 1024 * 1024;
/** The limit that docs/faults.md promises for any backlog. An idle consumer takes about 90 MB. */
const MAX_MEMORY_BYTES = 256 * MEGABYTE;

/**
 * Waits until everything is stored, then checks that no record is lost or stored twice. The judge compares the tables
 * with what was sent. `reconcile` compares the ledger with the tables and Kafka, and shares no code with the consumer.
 *
 * @param sent every acknowledged record of the place's topic
 */
export async function accountFor(
  place: Place,
  sent: readonly Sent<Intended>[],
  options: JudgeOptions = {},
): Promise<void> {
  await place.untilCaughtUp();
  await judge(place, sent, options);
  await assertReconciled(place);
}

export async function assertReconciled(place: Place): Promise<void> {
  const { code, output } = await place.run("reconcile");
  strictEqual(code, 0, output);
}

export async function assertWithinMemory(consumer: WorkerProcess): Promise<void> {
  const peak = await peakMemory(consumer);
  ok(
    peak < MAX_MEMORY_BYTES,
    `the consumer used ${Math.round(peak / MEGABYTE)} MB of memory, expected less than 256`,
  );
}
