/** Watches progress, the database and the ledger, and logs summaries. */
import { sleep } from "../_shared/backoff.ts";
import { isFatal, PipelineError } from "../_shared/errors.ts";
import { databaseFailure } from "../_shared/postgres.ts";
import { findOlderRows } from "./store/ledger.ts";
import type { LedgerRow, Partition } from "./kafka_partition/partition.ts";
import { type ConsumeOptions, type ConsumerContext, totalFetchableLag } from "./partition_ports.ts";
import { checkSchemaGeneration } from "./schema/migrate.ts";

const WATCH_INTERVAL_MS = 1_000;
const IDLE_QUESTION_INTERVAL_MS = 5_000;

/** Runs once a second until `signal` aborts. */
export async function runWatchdog(
  context: ConsumerContext,
  { signal, fail, summaryIntervalMs }: ConsumeOptions,
): Promise<void> {
  const { telemetry, health, database, clocks, rollup } = context;
  let summarisedAt = performance.now();
  let asking = false;
  let askedAt = 0;
  const ask = async () => {
    try {
      await clocks.ask(database);
      telemetry.databaseAnswered(clocks.aheadMs / 1000);
      await checkSchemaGeneration(database);
      await detectOlderLedger(context);
    } catch (error) {
      if (isFatal(error)) return fail(error);
      telemetry.databaseSilent(databaseFailure("ask", database.target, error));
    }
  };
  while (!signal.aborted) {
    await sleep(WATCH_INTERVAL_MS, { signal });
    const due = totalFetchableLag(context);
    telemetry.positions([...context.partitions()], due);
    rollup.watch();
    // With records to write, liveness depends on the answer. Without, readiness may be some seconds late.
    const isWanted = due > 0 || performance.now() - askedAt >= IDLE_QUESTION_INTERVAL_MS;
    // One question at a time: many unanswered ones would take the writers' connections.
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
      // The last chance to report the cause: what the servers last answered.
      const reasons = [...health.liveReasons(), ...health.readyReasons()];
      fail(new PipelineError("stuck", `Cannot go on: ${reasons.join("; ")}`));
    }
  }
}

/**
 * The next write detects that the ledger moved. A partition without records asks here: after a failover to a standby that
 * lagged, it would otherwise wait for new records and never read those again that the standby does not have.
 */
async function detectOlderLedger({ partitions, database, telemetry, dayPartitions }: ConsumerContext) {
  const idle = new Map<LedgerRow, Partition>();
  for (const partition of partitions()) {
    const { state, isDrained, ledger } = partition;
    if (state === "reading" && isDrained && ledger !== undefined) idle.set(ledger, partition);
  }
  for (const { remembered, nextOffset } of await findOlderRows(database, [...idle.keys()])) {
    const partition = idle.get(remembered);
    // It was written meanwhile.
    if (partition === undefined || partition.ledger !== remembered) continue;
    dayPartitions.forget();
    telemetry.ledgerWentBack(partition.log, remembered.nextOffset, nextOffset);
    partition.reopenLedger();
  }
}
