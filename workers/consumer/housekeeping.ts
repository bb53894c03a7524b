/** What goes on beside reading and writing: watching over progress, the database and the ledger, and summaries. */
import { sleep } from "../_shared/backoff.ts";
import { isFatal, PipelineError } from "../_shared/errors.ts";
import { databaseFailure } from "../_shared/postgres.ts";
import { findOlderRows } from "./store/ledger.ts";
import type { LedgerRow, Partition } from "./kafka_partition/partition.ts";
import { type ConsumeOptions, type Environment, recordsDue } from "./partition_ports.ts";
import { askGeneration } from "./schema/migrate.ts";

const WATCH_INTERVAL_MS = 1_000;
const IDLE_QUESTION_INTERVAL_MS = 5_000;

/** Once a second: lag, whether we get on, and now and then a summary; until `signal` aborts. */
export async function keepWatch(
  environment: Environment,
  { signal, fail, summaryIntervalMs }: ConsumeOptions,
): Promise<void> {
  const { telemetry, health, database, clocks, rollup } = environment;
  let summarisedAt = performance.now();
  let asking = false;
  let askedAt = 0;
  const ask = async () => {
    try {
      await clocks.ask(database);
      telemetry.databaseAnswered(clocks.aheadMs / 1000);
      await askGeneration(database);
      await noticeOlderLedger(environment);
    } catch (error) {
      if (isFatal(error)) return fail(error);
      telemetry.databaseSilent(databaseFailure("ask", database.target, error));
    }
  };
  while (!signal.aborted) {
    await sleep(WATCH_INTERVAL_MS, { signal });
    const due = recordsDue(environment);
    telemetry.positions([...environment.partitions()], due);
    rollup.watch();
    // While there is something to write, liveness depends on the answer; else readiness is told soon enough.
    const isWanted = due > 0 || performance.now() - askedAt >= IDLE_QUESTION_INTERVAL_MS;
    // One question at a time: those that a slow database leaves unanswered would take the writers' connections.
    if (isWanted && !asking) {
      [asking, askedAt] = [true, performance.now()];
      void ask().finally(() => asking = false);
    }
    const elapsedMs = performance.now() - summarisedAt;
    if (elapsedMs >= summaryIntervalMs || signal.aborted) {
      telemetry.summarise(elapsedMs / 1000);
      summarisedAt = performance.now();
    }
    if (health.isStuck()) {
      // What the servers last answered is the cause, and the last chance to say it.
      const reasons = [...health.liveReasons(), ...health.readyReasons()];
      fail(new PipelineError("stuck", `Cannot go on: ${reasons.join("; ")}`));
    }
  }
}

/**
 * Whoever writes notices that the ledger is not where he left it. A partition that has nothing to write asks, or it would
 * wait for new records while those lie unread that a standby, promoted in the meantime, had not got.
 */
async function noticeOlderLedger({ partitions, database, telemetry, dayPartitions }: Environment) {
  const idle = new Map<LedgerRow, Partition>();
  for (const partition of partitions()) {
    const { state, isDrained, ledger } = partition;
    if (state === "reading" && isDrained && ledger !== undefined) idle.set(ledger, partition);
  }
  for (const { remembered, nextOffset } of await findOlderRows(database, [...idle.keys()])) {
    const partition = idle.get(remembered);
    // It wrote while we asked.
    if (partition === undefined || partition.ledger !== remembered) continue;
    dayPartitions.forget();
    telemetry.ledgerWentBack(partition.log, remembered.nextOffset, nextOffset);
    partition.doubt();
  }
}
