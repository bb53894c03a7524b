/** What a partition does towards the ledger and the log: find its place, write a batch, and resolve a lost place. */
import type { LedgerRow } from "./kafka_partition/partition.ts";
import { type LogName, logRange } from "../_shared/kafka/topic.ts";
import type { Divergence } from "../_shared/kafka/fetcher.ts";
import type { Consumer } from "@platformatic/kafka";
import { insist } from "../_shared/backoff.ts";
import { isFatal } from "../_shared/errors.ts";
import { type KafkaConnection, kafkaFailure } from "../_shared/kafka/client.ts";
import {
  type Database,
  databaseFailure,
  isServerUnable,
  mayBeDone,
  sqlState,
  tookTooLong,
} from "../_shared/postgres.ts";
import { isDataError, mayRepeatKey } from "../_shared/postgres_errors.ts";
import type { DayPartitions } from "./day_partitions/day_partitions.ts";
import type { Floor } from "./day_partitions/floor.ts";
import { endFrozenWriters, isLockTimeout } from "./store/frozen_writers.ts";
import { findLedger, findOtherIncarnations, openLedger } from "./store/ledger.ts";
import { resolveDivergence } from "./kafka_partition/leader_epoch.ts";
import { type OffsetResetPolicy, resolveOutOfRange } from "./kafka_partition/offset_reset.ts";
import type { Partition, PartitionPorts } from "./kafka_partition/partition.ts";
import { createBatchProcessor } from "./store/process_batch.ts";
import type { PlanBatch } from "./store/plan_batch.ts";
import type { Progress } from "./health/progress.ts";
import type { SharedTurns } from "./store/shared_turns.ts";
import type { Sink } from "./store/sink.ts";
import type { Offset } from "../_shared/kafka/records.ts";
import { gapSlice } from "./kafka_partition/slice.ts";
import type { ConsumerTelemetry } from "./telemetry/telemetry.ts";
import type { TwoClocks } from "./health/two_clocks.ts";

/** What the whole consumer works with. */
export interface ConsumePorts {
  readonly connection: KafkaConnection;
  readonly database: Database;
  readonly turns: SharedTurns;
  readonly sink: Sink;
  readonly dayPartitions: DayPartitions;
  readonly plan: PlanBatch;
  readonly clocks: TwoClocks;
  readonly floor: Floor;
  readonly telemetry: ConsumerTelemetry;
  readonly progress: Progress;
}

export interface Environment extends ConsumePorts {
  readonly client: Consumer;
  readonly offsetReset: OffsetResetPolicy;
  /** Whether the partition has a leader to ask; who has none is told of by whoever looks at the topic. */
  readonly isLed: (partition: number) => boolean;
  /** Everything before this offset is stored. */
  readonly onWritten: (partition: number, next: Offset) => void;
  readonly onChange: () => void;
}

/** The ports of one log's {@link Partition}. */
export function partitionPorts(environment: Environment, log: LogName): PartitionPorts {
  const { connection, client, database, sink, plan, telemetry, progress } = environment;
  // Ours alone: a predecessor of the same number that is still closing must not speak for us.
  const loop = { name: `write partition ${log.partition}`, partition: log.partition };
  const databaseFailed = (action: string, error: unknown, fields: Record<string, unknown>) => {
    if (isFatal(error)) throw error;
    const failure = databaseFailure(action, database.target, error);
    progress.databaseFailed(loop, failure.message);
    progress.databaseRefuses(isServerUnable(error));
    telemetry.writeFailed(log.partition, failure, fields);
  };
  const databaseWorks = () => progress.databaseWorks(loop);
  const process = createBatchProcessor({
    plan,
    sink,
    isDataError,
    mayRepeatKey,
    tookTooLong,
    mayBeDone,
    takeTurn: (records, attempt) => environment.turns.take(records, attempt),
    onFloorMoved: (floor) => environment.floor.set(floor),
    prepare: ({ readings }) => environment.dayPartitions.prepare(readings.days(), () => progress.mark(loop)),
    onAttempt: () => progress.mark(loop),
    onAttemptEnd: () => progress.idle(loop),
    onFailure: (error, attempt) => {
      databaseFailed("write a batch", error, { attempt });
      progress.writeFailed(loop);
      if (isLockTimeout(error)) void endFrozenWriters(database).then(telemetry.frozenWritersEnded, () => {});
    },
  });
  const query = <T>(attempt: () => Promise<T>, signal: AbortSignal) =>
    insist(attempt, (error, attempts) => databaseFailed("open the ledger", error, { attempts }), { signal });

  return {
    open: async (signal) => {
      const known = await query(async () => ({ row: await findLedger(database, log) }), signal);
      if (known === undefined) return undefined;
      let ledger = known.row;
      if (ledger === undefined) {
        const range = await insist(
          () => logRange(client, log),
          (error) => {
            if (!environment.isLed(log.partition)) return;
            telemetry.kafkaFailed(kafkaFailure("read the log's offsets", connection, error));
          },
          { signal },
        );
        if (range === undefined) return undefined;
        ledger = await query(() => openLedger(database, log, 0, range.earliest), signal);
        const earlier = await query(() => findOtherIncarnations(database, log.topic, log.topicId), signal);
        if (earlier !== undefined && earlier.length > 0) {
          telemetry.topicReplaced(log.topic, log.topicId, earlier);
        }
      }
      if (ledger === undefined) return undefined;
      databaseWorks();
      telemetry.partitionOpened(log.partition, ledger.nextOffset, known.row === undefined);
      return ledger;
    },

    write: async (ledger: LedgerRow, open, signal) => {
      const began = performance.now();
      const from = ledger.nextOffset;
      const outcome = await process(ledger, open, signal);
      if (outcome.kind === "abandoned") return undefined;
      databaseWorks();
      if (outcome.kind === "stale") {
        const { nextOffset } = outcome;
        if (nextOffset === undefined || nextOffset < from) {
          ledgerWentBack(environment, log.partition, from, nextOffset);
        } else telemetry.batchStale(log.partition, from, nextOffset);
        return { next: nextOffset };
      }
      progress.committed();
      const { slice: written, batch } = outcome;
      telemetry.batchWritten(log.partition, written, batch, performance.now() - began);
      environment.onWritten(log.partition, written.next);
      return { next: written.next };
    },

    onChange: environment.onChange,
    onClosed: () => progress.closed(loop),
  };
}

/** The database is an older copy of the one that we wrote to: whatever else we remember of it may be wrong too. */
export function ledgerWentBack(
  { telemetry, dayPartitions }: Pick<Environment, "telemetry" | "dayPartitions">,
  partition: number,
  remembered: Offset,
  nextOffset: Offset | undefined,
): void {
  dayPartitions.forget();
  telemetry.ledgerWentBack(partition, remembered, nextOffset);
}

/**
 * Looks at the log once everything fetched before is written, and does what the policy says.
 *
 * @param divergence what the broker has instead of what we read; undefined when our offset is out of range
 * @throws what trying again does not cure, such as a schema of another generation
 */
export async function findLostPlace(
  environment: Environment,
  partition: Partition,
  divergence: Divergence | undefined,
  { signal }: { signal: AbortSignal },
): Promise<void> {
  if (partition.state !== "reading") return;
  partition.lostAt = partition.fetchOffset;
  // The broker answered, so the partition is not silent.
  partition.emptyAnswers.forget();
  if (!partition.isDrained) return;
  const { connection, client, database, telemetry, progress, offsetReset } = environment;
  const { log } = partition;
  partition.state = "asking";
  await insist(
    async () => {
      const at = partition.fetchOffset;
      const range = await logRange(client, log);
      partition.outOfReach = false;
      if (partition.state !== "asking" || partition.ledger === undefined) return;
      const reset = divergence === undefined
        ? resolveOutOfRange(at, range, offsetReset)
        : resolveDivergence(at, divergence, range, offsetReset);
      if (reset.kind === "hold") {
        partition.state = "held";
        // The refused fetch said nothing of the end: the lag of a held partition shall be seen too.
        partition.endOffset = range.end;
        progress.notReady(`partition ${log.partition}`, reset.reason);
        telemetry.partitionHeld(log.partition, reset.reason);
      } else if (reset.kind === "restart") {
        const ledger = await openLedger(database, log, partition.ledger.generation + 1, reset.from);
        telemetry.logCut(log.partition, at, range.end, reset.from);
        partition.reopen(ledger);
      } else {
        if (reset.kind === "skip") {
          telemetry.offsetsSkipped(log.partition, { from: at, to: reset.to, cause: "log_start" });
          partition.accept(gapSlice(at, reset.to, "log_start"));
        }
        partition.state = "reading";
        environment.onChange();
      }
    },
    (error) => {
      if (isFatal(error)) throw error;
      if (sqlState(error) === undefined) {
        partition.outOfReach = true;
        if (!environment.isLed(log.partition)) return;
        telemetry.kafkaFailed(kafkaFailure("find the place in the log", connection, error));
      } else {
        telemetry.databaseFailed(
          databaseFailure("open another generation of the ledger", database.target, error),
        );
      }
    },
    { signal },
  );
}
