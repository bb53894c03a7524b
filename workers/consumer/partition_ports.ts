/** What a partition does towards the ledger and the log: open the ledger, write a batch, and find a lost place. */
import { type LogName, logRange } from "../_shared/kafka/topic.ts";
import type { Divergence } from "../_shared/kafka/fetcher.ts";
import type { Consumer } from "@platformatic/kafka";
import { insist } from "../_shared/backoff.ts";
import { isFatal } from "../_shared/errors.ts";
import { type KafkaConnection, kafkaFailure } from "../_shared/kafka/client.ts";
import { databaseFailure, isServerUnable, sqlState } from "../_shared/postgres.ts";
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
import { type OffsetResetPolicy, resolveLostPlace } from "./kafka_partition/lost_place.ts";
import type { LedgerRow, Partition, PartitionPorts } from "./kafka_partition/partition.ts";
import { createBatchProcessor, type ProcessBatch } from "./store/process_batch.ts";
import type { PlanBatch } from "./store/plan_batch.ts";
import type { Progress, Writer } from "./health/progress.ts";
import type { Rollup } from "./rollup/rollup.ts";
import type { SharedTurns } from "./store/shared_turns.ts";
import type { Offset } from "../_shared/kafka/records.ts";
import type { OpenBatch } from "./kafka_partition/slice.ts";

/** What the whole consumer works with. */
export interface ConsumePorts extends RetentionPorts {
  readonly connection: KafkaConnection;
  readonly turns: SharedTurns;
  readonly plan: PlanBatch;
  readonly rollup: Pick<Rollup, "committed" | "due">;
  readonly telemetry: FetchPorts["telemetry"];
  readonly progress: Progress;
}

export interface ConsumeOptions extends ConsumerConfig {
  readonly signal: AbortSignal;
  /** Ends the program for what waiting cannot cure. */
  readonly fail: (error: Error) => void;
}

/** What a {@link Partition} and the fetch loops work with besides. */
export interface Environment extends ConsumePorts, FetchPorts {
  readonly client: Consumer;
  readonly offsetReset: OffsetResetPolicy;
  /** Whether the partition has a leader to ask; the watch over the topic reports those that have none. */
  readonly isLed: (partition: number) => boolean;
  /** Everything before this offset is stored. */
  readonly onWritten: (partition: number, next: Offset) => void;
  readonly onChange: () => void;
}

export class LogPorts implements PartitionPorts {
  /** Ours alone: a predecessor of the same number that is still closing must not speak for us. */
  readonly #loop: Writer;
  readonly #process: ProcessBatch;

  constructor(private readonly environment: Environment, private readonly log: LogName) {
    const { database, plan, telemetry, progress } = environment;
    const loop = this.#loop = { name: `write partition ${log.partition}`, partition: log.partition };
    this.#process = createBatchProcessor({
      plan,
      turns: environment.turns,
      onFloorMoved: (floor) => environment.floor.set(floor),
      prepare: ({ readings }) =>
        environment.dayPartitions.prepare(readings.days(), () => progress.mark(loop)),
      onAttempt: () => progress.mark(loop),
      onAttemptEnd: () => progress.idle(loop),
      onFailure: (error, attempt) => {
        this.#databaseFailed("write a batch", error, { attempt });
        progress.writeFailed(loop);
        if (isLockTimeout(error)) {
          void endFrozenWriters(database).then(telemetry.frozenWritersEnded, () => {});
        }
      },
    });
  }

  async open(signal: AbortSignal): Promise<LedgerRow | undefined> {
    const { database, client, telemetry, progress } = this.environment;
    const { topic, topicId, partition } = this.log;
    const refused = (error: unknown, attempts: number) =>
      this.#databaseFailed("open the ledger", error, { attempts });
    const query = <T>(attempt: () => Promise<T>) => insist(attempt, refused, { signal });
    const known = await query(async () => ({ row: await findLedger(database, this.log) }));
    if (known === undefined) return undefined;
    let ledger = known.row;
    if (ledger === undefined) {
      const failed = (error: unknown) => this.#kafkaFailed("read the log's offsets", error);
      const range = await insist(() => logRange(client, this.log), failed, { signal });
      if (range === undefined) return undefined;
      ledger = await query(() => openLedger(database, this.log, 0, range.earliest));
      const earlier = await query(() => findOtherIncarnations(database, topic, topicId)) ?? [];
      if (earlier.length > 0) telemetry.topicReplaced(topic, topicId, earlier);
    }
    if (ledger === undefined) return undefined;
    progress.databaseWorks(this.#loop);
    telemetry.partitionOpened(partition, ledger.nextOffset, known.row === undefined);
    return ledger;
  }

  async write(ledger: LedgerRow, open: OpenBatch, signal: AbortSignal): Promise<Offset | "gone" | undefined> {
    const { telemetry, progress, dayPartitions, onWritten } = this.environment;
    const { partition } = this.log;
    const began = performance.now();
    const from = ledger.nextOffset;
    const outcome = await this.#process(ledger, open, signal);
    if (outcome.kind === "abandoned") return undefined;
    progress.databaseWorks(this.#loop);
    if (outcome.kind === "stale") {
      const { nextOffset } = outcome;
      if (nextOffset === undefined || nextOffset < from) {
        // An older copy of the database that we wrote to: whatever else we remember of it may be wrong too.
        dayPartitions.forget();
        telemetry.ledgerWentBack(partition, from, nextOffset);
      } else telemetry.batchStale(partition, from, nextOffset);
      return nextOffset ?? "gone";
    }
    progress.committed();
    this.environment.rollup.committed();
    const { slice: written, batch } = outcome;
    telemetry.batchWritten(partition, written, batch, performance.now() - began);
    onWritten(partition, written.next);
    return written.next;
  }

  /** @throws what trying again does not cure, such as a schema of another generation */
  async findPlace(partition: Partition, divergence: Divergence | undefined, signal: AbortSignal) {
    const { database, client, telemetry, progress, offsetReset } = this.environment;
    const { number } = partition;
    const look = async () => {
      const range = await logRange(client, this.log);
      partition.answers.came();
      const { fetchOffset: at, ledger, state } = partition;
      if (signal.aborted || state !== "asking" || ledger === undefined) return;
      const reset = resolveLostPlace(at, divergence, range, offsetReset);
      if (reset.kind === "hold") {
        // The refused fetch said nothing of the end: the lag of a held partition shall be seen too.
        partition.logEndsAt(range.end);
        partition.placed("held");
        progress.notReady(`partition ${number}`, reset.reason);
        telemetry.partitionHeld(number, reset.reason);
      } else if (reset.kind === "restart") {
        const next = await openLedger(database, this.log, ledger.generation + 1, reset.from);
        telemetry.logCut(number, at, range.end, reset.from);
        partition.reopen(next);
      } else {
        if (reset.kind === "skip") telemetry.offsetsSkipped(number, partition.skip(reset.to, "log_start"));
        partition.placed("reading");
      }
    };
    const failed = (error: unknown) => {
      if (isFatal(error)) throw error;
      if (sqlState(error) === undefined) {
        partition.answers.failed();
        this.#kafkaFailed("find the place in the log", error);
      } else {
        const failure = databaseFailure("open another generation of the ledger", database.target, error);
        telemetry.databaseFailed(failure);
      }
    };
    await insist(look, failed, { signal });
  }

  onChange = () => this.environment.onChange();
  onClosed = () => this.environment.progress.closed(this.#loop);

  #databaseFailed(action: string, error: unknown, fields: Record<string, unknown>): void {
    if (isFatal(error)) throw error;
    const { database, progress, telemetry } = this.environment;
    const failure = databaseFailure(action, database.target, error);
    progress.databaseFailed(this.#loop, failure.message);
    progress.databaseRefuses(isServerUnable(error));
    telemetry.writeFailed(this.log.partition, failure, fields);
  }

  #kafkaFailed(action: string, error: unknown): void {
    const { connection, telemetry, isLed } = this.environment;
    if (isLed(this.log.partition)) telemetry.kafkaFailed(kafkaFailure(action, connection, error));
  }
}
