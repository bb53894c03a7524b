import { sleep } from "../_shared/backoff.ts";
import { isFatal, PipelineError } from "../_shared/errors.ts";
import { whyNotCompaction } from "../_shared/kafka/topic.ts";
import { databaseFailure } from "../_shared/postgres.ts";
import { SilentLogs } from "./fetch/silent_logs.ts";
import { findOlderRows } from "./store/ledger.ts";
import type { LedgerRow, Partition } from "./kafka_partition/partition.ts";
import { type ConsumerContext, totalFetchableLag } from "./partition_ports.ts";
import { checkSchemaGeneration } from "./schema/migrate.ts";

const WATCH_INTERVAL_MS = 1_000;
/** While no records wait, only readiness depends on the database's answer, and readiness may be seconds late. */
const IDLE_DATABASE_INTERVAL_MS = 5_000;

/** Watches progress, silent logs, the database and the ledger, and logs summaries, until `signal` aborts. */
export async function runWatchdog(context: ConsumerContext): Promise<void> {
  const { telemetry, health, database, clocks, rollup, options: { signal, fail, summaryIntervalMs } } =
    context;
  const silentLogs = new SilentLogs({ ...context, whyNotCompaction });
  let summarisedAt = performance.now();
  let isAsking = false;
  let askedAt = 0;
  const askDatabase = async () => {
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
    const lag = totalFetchableLag(context);
    telemetry.positions([...context.partitions()], lag);
    rollup.watch();
    // Not awaited, because a broker that does not answer must not delay this loop.
    void silentLogs.check();
    const isDue = lag > 0 || performance.now() - askedAt >= IDLE_DATABASE_INTERVAL_MS;
    // Only one query at a time: unanswered queries would take the connections of the writers.
    if (isDue && !isAsking) {
      [isAsking, askedAt] = [true, performance.now()];
      void askDatabase().finally(() => isAsking = false);
    }
    const elapsedMs = performance.now() - summarisedAt;
    if (elapsedMs >= summaryIntervalMs || signal.aborted) {
      telemetry.summarise(elapsedMs / 1000);
      summarisedAt = performance.now();
    }
    if (health.isStuck()) {
      // The readiness reasons tell what the servers last answered.
      const reasons = [...health.liveReasons(), ...health.readyReasons()];
      fail(new PipelineError("stuck", `Cannot go on: ${reasons.join("; ")}`));
    }
  }
}

/**
 * After a failover to a standby that lagged, the ledger is an older copy of itself. A write detects this. A partition without new
 * records has no write, so this function compares its ledger row.
 */
async function detectOlderLedger({ partitions, database, telemetry, dayPartitions }: ConsumerContext) {
  const idle = new Map<LedgerRow, Partition>();
  for (const partition of partitions()) {
    const { state, isDrained, ledger } = partition;
    if (state === "reading" && isDrained && ledger !== undefined) idle.set(ledger, partition);
  }
  for (const { remembered, nextOffset } of await findOlderRows(database, [...idle.keys()])) {
    const partition = idle.get(remembered);
    // A write may have replaced the row meanwhile.
    if (partition?.ledger !== remembered) continue;
    dayPartitions.forget();
    telemetry.ledgerWentBack(partition.log, remembered.nextOffset, nextOffset);
    partition.reopenLedger();
  }
}
