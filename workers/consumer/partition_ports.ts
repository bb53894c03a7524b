import { logRange, NO_LEADER, type TopicIdPartition } from "../_shared/kafka/topic.ts";
import type { Divergence } from "../_shared/kafka/fetcher.ts";
import type { Consumer } from "@platformatic/kafka";
import { retryUntilAborted } from "../_shared/backoff.ts";
import { isFatal } from "../_shared/errors.ts";
import { kafkaFailure } from "../_shared/kafka/client.ts";
import { databaseFailure } from "../_shared/postgres.ts";
import type { ConsumerConfig } from "./config.ts";
import type { RetentionPorts } from "./day_partitions/retention.ts";
import type { FetchPorts } from "./fetch/fetch_loop.ts";
import {
  endFrozenWriters,
  findLedger,
  findOtherIncarnations,
  isLockTimeout,
  openLedger,
} from "./store/ledger.ts";
import { decideOffsetReset } from "./kafka_partition/offset_reset.ts";
import type { LedgerRow, Partition, PartitionPorts } from "./kafka_partition/partition.ts";
import type { PlanBatch } from "./store/plan_batch.ts";
import type { Health } from "./health/health_state.ts";
import type { Rollup } from "./rollup/rollup.ts";
import type { Store, WriteBatch } from "./store/store.ts";
import type { Offset } from "../_shared/kafka/records.ts";
import type { OpenBatch } from "./kafka_partition/slice.ts";
import type { Secrets } from "../_shared/secrets.ts";

export interface ConsumePorts extends RetentionPorts {
  readonly options: ConsumerConfig & { readonly signal: AbortSignal; readonly fail: (error: Error) => void };
  readonly connection: FetchPorts["connection"];
  readonly telemetry: FetchPorts["telemetry"];
  readonly store: Store;
  readonly plan: PlanBatch;
  readonly rollup: Pick<Rollup, "committed" | "watch">;
  readonly health: Health;
  readonly secrets: Pick<Secrets, "redact">;
}

export interface ConsumerContext extends ConsumePorts, FetchPorts {
  /** Asks Kafka about the topic. This client never joins the group. */
  readonly client: Consumer;
  readonly onWritten: (partition: number, next: Offset) => void;
  readonly onChange: () => void;
}

export function totalFetchableLag({ partitions }: Pick<ConsumerContext, "partitions">): number {
  return [...partitions()].reduce((sum, { fetchableLag }) => sum + fetchableLag, 0);
}

/** Connects a partition with its log in Kafka and its row in the ledger. */
export class LogPorts implements PartitionPorts {
  readonly #write: WriteBatch;

  /** @param log a new object for each assignment, because {@link HealthState} compares assignments by identity */
  constructor(private readonly context: ConsumerContext, private readonly log: TopicIdPartition) {
    const { database, store, plan, telemetry } = context;
    this.#write = store.writer({
      plan,
      onFloorMoved: (instant) => void (context.floor.instant = instant),
      prepare: ({ readings }) =>
        context.dayPartitions.prepare(readings.days(), () => telemetry.loopProgressed(log)),
      onAttempt: () => telemetry.loopProgressed(log),
      onAttemptEnd: () => telemetry.loopIdle(log),
      onFailure: (error, attempt) => {
        telemetry.writeFailed(log, databaseFailure("write a batch", database.target, error), attempt);
        if (isLockTimeout(error)) {
          void endFrozenWriters(database).then(telemetry.frozenWritersEnded, () => {});
        }
      },
    });
  }

  async open(signal: AbortSignal): Promise<LedgerRow | undefined> {
    const { database, client, telemetry } = this.context;
    const { topic, topicId } = this.log;
    const known = await this.#ask(async () => ({ row: await findLedger(database, this.log) }), signal);
    if (known === undefined) return undefined;
    let ledger = known.row;
    if (ledger === undefined) {
      const failed = (error: unknown) => this.#kafkaFailed("read the log's offsets", error);
      const range = await retryUntilAborted(() => logRange(client, this.log), failed, { signal });
      if (range === undefined) return undefined;
      ledger = await this.#ask(() => openLedger(database, this.log, 0, range.earliest), signal);
      const earlier = await this.#ask(() => findOtherIncarnations(database, topic, topicId), signal) ?? [];
      if (earlier.length > 0) telemetry.topicReplaced(topic, topicId, earlier);
    }
    if (ledger === undefined) return undefined;
    telemetry.partitionOpened(this.log, ledger.nextOffset, known.row === undefined);
    return ledger;
  }

  async write(ledger: LedgerRow, open: OpenBatch, signal: AbortSignal): Promise<Offset | "gone" | undefined> {
    const { telemetry, dayPartitions, onWritten } = this.context;
    const began = performance.now();
    const from = ledger.nextOffset;
    const outcome = await this.#write(ledger, open, signal);
    if (outcome.kind === "abandoned") return undefined;
    if (outcome.kind === "offset mismatch") {
      const { nextOffset } = outcome;
      if (nextOffset === undefined || nextOffset < from) {
        // The database is an older copy of itself, so day partitions that this consumer created may be missing, too.
        dayPartitions.forget();
        telemetry.ledgerWentBack(this.log, from, nextOffset);
      } else telemetry.batchStale(this.log, from, nextOffset);
      return nextOffset ?? "gone";
    }
    const { next } = outcome.slice;
    // This partition's lag includes the batch until write() returns.
    this.context.rollup.committed(totalFetchableLag(this.context) - (next - from));
    telemetry.batchWritten(this.log, outcome, performance.now() - began);
    onWritten(this.log.partition, next);
    return next;
  }

  async resolveOffsetReset(partition: Partition, divergence: Divergence | undefined, signal: AbortSignal) {
    const { database, client, telemetry, options } = this.context;
    const resolve = async () => {
      const range = await logRange(client, this.log);
      partition.fetchStatus.answered();
      const { fetchOffset, ledger, state } = partition;
      if (signal.aborted || state !== "resetting" || ledger === undefined) return;
      const reset = decideOffsetReset(fetchOffset, divergence, range, options.offsetReset);
      if (reset.kind === "hold") {
        // A held partition must show its lag, but the refused fetch did not tell the end of the log.
        partition.lastStableOffset = range.end;
        partition.offsetResolved("held");
        telemetry.partitionHeld(this.log, reset.reason);
      } else if (reset.kind === "restart") {
        const open = () => openLedger(database, this.log, ledger.generation + 1, reset.from);
        const next = await this.#ask(open, signal);
        if (next === undefined) return;
        telemetry.logCut(this.log, fetchOffset, range.end, reset.from);
        partition.reopen(next);
      } else {
        if (reset.kind === "skip") {
          telemetry.offsetsSkipped(partition.number, partition.skip(reset.to, "log_start"));
        }
        partition.offsetResolved("reading");
      }
    };
    const failed = (error: unknown) => {
      if (isFatal(error)) throw error;
      partition.fetchStatus.failed();
      this.#kafkaFailed("read the log's offsets", error);
    };
    await retryUntilAborted(resolve, failed, { signal });
  }

  onChange = () => this.context.onChange();

  /** @throws errors that a retry does not cure, such as a schema of another generation */
  #ask<T>(attempt: () => Promise<T>, signal: AbortSignal): Promise<T | undefined> {
    const { database, telemetry } = this.context;
    const failed = (error: unknown, attempts: number) => {
      if (isFatal(error)) throw error;
      telemetry.openFailed(this.log, databaseFailure("open the ledger", database.target, error), attempts);
    };
    return retryUntilAborted(attempt, failed, { signal });
  }

  #kafkaFailed(action: string, error: unknown): void {
    const { connection, telemetry, topic } = this.context;
    // The topic watcher reports partitions without a leader.
    if (topic()?.leaders[this.log.partition] === NO_LEADER) return;
    telemetry.logFailed(kafkaFailure(action, connection, error));
  }
}
