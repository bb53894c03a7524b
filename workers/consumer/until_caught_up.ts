import { Consumer } from "@platformatic/kafka";
import { retryUntilAborted, sleep } from "../_shared/backoff.ts";
import { PipelineError } from "../_shared/errors.ts";
import type { KafkaConnection } from "../_shared/kafka/client.ts";
import type { Offset } from "../_shared/kafka/records.ts";
import { describeTopic, lastStableOffsets } from "../_shared/kafka/topic.ts";
import { tolerateLeaderlessPartitions } from "../_shared/kafka/client_patches.ts";
import { type Database, databaseFailure } from "../_shared/postgres.ts";
import { ledgerSums, nextOffsets } from "./store/ledger.ts";
import { type CatchUpTarget, readCatchUpTarget, remainingTo } from "./rollup/catch_up_target.ts";
import { type Health, HELD } from "./health/health_state.ts";
import type { Counts } from "./store/batch.ts";
import type { ConsumerTelemetry } from "./telemetry/telemetry.ts";

const POLL_MS = 200;
const POLLS_PER_TOPIC_CHECK = 25;

interface Ends {
  readonly topicId: string;
  /** The last stable offset of each partition. */
  readonly ends: readonly Offset[];
}

/** A run of `--until-caught-up`. It ends when the ledger and the rollup reach the ends that the topic had at the start of the run. */
export class CatchUp implements Disposable {
  readonly #startedMs = performance.now();
  #deadline: ReturnType<typeof setTimeout> | undefined;
  /** Why the run has not ended; empty until both servers have answered. */
  #missing = "";
  /** Set when the ledger has reached the ends. */
  #rollupTarget: CatchUpTarget | undefined;

  constructor(private readonly connection: KafkaConnection, private readonly health: Health) {}

  limit(seconds: number, fail: (error: Error) => void): void {
    this.#deadline = setTimeout(() => {
      const why = this.health.readyReasons();
      if (this.#missing !== "") why.unshift(this.#missing);
      const reasons = why.join("; ") || "the ends of the topic are not known";
      fail(new PipelineError("not_caught_up", `Cannot catch up within ${seconds} s: ${reasons}`));
    }, seconds * 1000);
  }

  /** @throws PipelineError `offset_out_of_range` when a partition is held */
  async run(
    consume: (signal: AbortSignal) => Promise<void>,
    database: Database,
    telemetry: ConsumerTelemetry,
    { signal }: { signal: AbortSignal },
  ): Promise<void> {
    const sums = () => ledgerSums(database, this.connection.topic);
    const failed = (error: unknown) =>
      telemetry.databaseFailed(databaseFailure("read the ledger", database.target, error));
    const before = await retryUntilAborted(sums, failed, { signal });
    if (before === undefined) return;
    const reached = new AbortController();
    const consuming = consume(AbortSignal.any([signal, reached.signal]));
    let isReached = false;
    try {
      isReached = await this.#reach(database, { signal });
    } finally {
      this[Symbol.dispose]();
      reached.abort();
      await consuming;
      // A stop must not fail when the database is unavailable.
      const after = await sums().catch(() => undefined);
      const seconds = Math.round((performance.now() - this.#startedMs) / 100) / 10;
      if (after !== undefined) {
        const counts = { ...after };
        for (const outcome of Object.keys(counts) as (keyof Counts)[]) counts[outcome] -= before[outcome];
        telemetry.caughtUp(counts, seconds, isReached);
      }
    }
  }

  async #reach(database: Database, { signal }: { signal: AbortSignal }): Promise<boolean> {
    const { topic, options } = this.connection;
    const client = tolerateLeaderlessPartitions(new Consumer({ ...options, groupId: "heartbeat-ends" }));
    try {
      const readEnds = async (): Promise<Ends> => {
        const found = await describeTopic(client, topic);
        if (found === undefined) throw new Error(`topic ${topic} does not exist`);
        return { topicId: found.id, ends: await lastStableOffsets(client, topic, found.leaders.length) };
      };
      const target = await retryUntilAborted(readEnds, () => {}, { signal });
      for (let polls = 0; target !== undefined && !signal.aborted; polls++) {
        if (polls % POLLS_PER_TOPIC_CHECK === 0) await requireTopic(client, topic, target.topicId);
        const held = this.health.reasonOf(HELD);
        if (held !== undefined) throw new PipelineError("offset_out_of_range", `Cannot catch up: ${held}`);
        if (await this.#isReached(target, client, database)) return true;
        await sleep(POLL_MS, { signal });
      }
      return false;
    } finally {
      await client.close().catch(() => {});
    }
  }

  async #isReached({ topicId, ends }: Ends, client: Consumer, database: Database): Promise<boolean> {
    const reached = await nextOffsets(database, topicId).catch(() => undefined);
    if (reached === undefined) return false;
    const missing = ends.flatMap((end, partition) => {
      // A partition without a ledger row was not opened yet, so even an empty one is missing.
      const next = reached.get(partition) ?? -1;
      return next < end ? [`${end - Math.max(0, next)} of partition ${partition}`] : [];
    });
    this.#missing = missing.length > 0 ? `offsets that are not accounted for: ${missing.join(", ")}` : "";
    if (missing.length > 0) return false;
    // If a ledger row is ahead of its log, the log was truncated, and its new records must be read first.
    const endsNow = await lastStableOffsets(client, this.connection.topic, ends.length).catch(() => []);
    const isAhead = endsNow.some((end, partition) => (reached.get(partition) ?? 0) > end);
    return endsNow.length > 0 && !isAhead && await this.#isRolledUp(database);
  }

  async #isRolledUp(database: Database): Promise<boolean> {
    const target = this.#rollupTarget ??= await readCatchUpTarget(database).catch(() => undefined);
    const left = target && await remainingTo(database, target).catch(() => undefined);
    if (left === undefined) return false;
    this.#missing = left.isRebuilding
      ? "minutes and latest readings are being rebuilt"
      : `${left.offsets} offsets wait for the rollup`;
    return left.isNone;
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#deadline);
  }
}

async function requireTopic(client: Consumer, topic: string, topicId: string): Promise<void> {
  const found = await describeTopic(client, topic).catch(() => ({ id: topicId }));
  if (found?.id === topicId) return;
  const message = `Cannot catch up: topic ${topic} was deleted or created again; start the consumer again`;
  throw new PipelineError("topic_missing", message);
}
