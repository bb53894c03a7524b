/** Waits until every record that was in the topic at one moment is accounted for, by any member of the group. */
import { Consumer } from "@platformatic/kafka";
import { retryUntilAborted, sleep } from "../_shared/backoff.ts";
import { PipelineError } from "../_shared/errors.ts";
import { type KafkaConnection } from "../_shared/kafka/client.ts";
import { describeTopic, lastStableOffsets } from "../_shared/kafka/topic.ts";
import { tolerateLeaderlessPartitions } from "../_shared/kafka/client_patches.ts";
import { type Database, databaseFailure } from "../_shared/postgres.ts";
import { ledgerSums, nextOffsets } from "./store/ledger.ts";
import { type CatchUpTarget, readCatchUpTarget, remainingTo } from "./rollup/catch_up_target.ts";
import { type Health, HELD } from "./health/health_state.ts";
import type { ConsumerTelemetry } from "./telemetry/telemetry.ts";

const POLL_MS = 200;
const POLLS_A_LOOK = 25;

/** One run of `--until-caught-up`, from the start of the process. */
export class CatchUp implements Disposable {
  readonly #startedMs = performance.now();
  #deadline: ReturnType<typeof setTimeout> | undefined;
  /** The offsets that are not accounted for, or why the rollup is behind; empty until both servers answered. */
  #missing = "";
  /** What the rollup has to reach, as of the moment when the ledger had reached its end. */
  #goal: CatchUpTarget | undefined;

  constructor(private readonly connection: KafkaConnection, private readonly health: Health) {}

  /** Fails the program when the end is not reached in time, and says what is missing. */
  limit(seconds: number, fail: (error: Error) => void): void {
    this.#deadline = setTimeout(() => {
      const why = this.health.readyReasons();
      if (this.#missing !== "") why.unshift(this.#missing);
      const is = why.join("; ") || "the ends of the topic are not known";
      fail(new PipelineError("not_caught_up", `Cannot catch up within ${seconds} s: ${is}`));
    }, seconds * 1000);
  }

  /**
   * Consumes until the ledger reaches the present ends of the partitions, or `signal` aborts, and reports the sums.
   *
   * @param consume resolves some time after its signal aborted
   * @throws PipelineError `offset_out_of_range` when a partition is held
   */
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
      // After a stop the database may be away.
      const after = await sums().catch(() => undefined);
      const seconds = Math.round((performance.now() - this.#startedMs) / 100) / 10;
      if (after !== undefined) {
        const did = { ...after };
        for (const what of Object.keys(did) as (keyof typeof did)[]) did[what] -= before[what];
        telemetry.caughtUp(did, seconds, isReached);
      }
    }
  }

  /** @returns false when the signal aborted first */
  async #reach(database: Database, { signal }: { signal: AbortSignal }): Promise<boolean> {
    const { topic, options } = this.connection;
    const client = tolerateLeaderlessPartitions(new Consumer({ ...options, groupId: "heartbeat-ends" }));
    try {
      const look = async () => {
        const found = await describeTopic(client, topic);
        if (found === undefined) throw new Error(`topic ${topic} does not exist`);
        return { topicId: found.id, ends: await lastStableOffsets(client, topic, found.leaders.length) };
      };
      const goal = await retryUntilAborted(look, () => {}, { signal });
      for (let polls = 0; goal !== undefined && !signal.aborted; polls++) {
        if (polls % POLLS_A_LOOK === 0) {
          const now = await describeTopic(client, topic).catch(() => ({ id: goal.topicId }));
          const is = `topic ${topic} was deleted or made again; start anew`;
          if (now?.id !== goal.topicId) throw new PipelineError("topic_missing", `Cannot catch up: ${is}`);
        }
        const held = this.health.reasonOf(HELD);
        if (held !== undefined) throw new PipelineError("offset_out_of_range", `Cannot catch up: ${held}`);
        const reached = await nextOffsets(database, goal.topicId).catch(() => undefined);
        if (reached !== undefined) {
          // A partition without a ledger row is missing, even if it is empty.
          const missing = goal.ends.flatMap((end, partition) => {
            const next = reached.get(partition) ?? -1;
            return next < end ? [`${end - Math.max(0, next)} of partition ${partition}`] : [];
          });
          this.#missing = missing.length === 0
            ? ""
            : `offsets that are not accounted for: ${missing.join(", ")}`;
          if (missing.length === 0) {
            // A ledger row ahead of its log means that the log was cut: its records are still to be read.
            const ends = await lastStableOffsets(client, topic, goal.ends.length).catch(() => []);
            const isAhead = ends.some((end, partition) => (reached.get(partition) ?? 0) > end);
            if (ends.length > 0 && !isAhead && await this.#isRolledUp(database)) return true;
          }
        }
        await sleep(POLL_MS, { signal });
      }
      return false;
    } finally {
      await client.close().catch(() => {});
    }
  }

  /** Whether minutes and latest readings have followed as far, too. */
  async #isRolledUp(database: Database): Promise<boolean> {
    const goal = this.#goal ??= await readCatchUpTarget(database).catch(() => undefined);
    const left = goal && await remainingTo(database, goal).catch(() => undefined);
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
