/** Reports partitions whose records the broker does not send, and decides whether compaction explains that. */
import { sleep } from "../../_shared/backoff.ts";
import type { KafkaConnection } from "../../_shared/kafka/client.ts";
import type { Partition } from "../kafka_partition/partition.ts";
import type { MonotonicClock } from "../health/health_state.ts";
import type { FetchPorts } from "./fetch_loop.ts";

const WATCH_INTERVAL_MS = 1_000;
/** How often the settings are read again while only they are missing as a proof. */
const QUESTION_INTERVAL_MS = 5_000;

interface SilentLogsPorts extends Pick<FetchPorts, "connection" | "partitions" | "telemetry"> {
  /** Asks the broker; undefined when compaction is the only explanation for the silence. */
  readonly whyNotCompaction: (connection: KafkaConnection) => Promise<string | undefined>;
}

export class SilentLogs {
  /** The silent partitions as of the last look. */
  readonly #reported = new Set<Partition>();
  #asking = false;
  #askedAt = -Infinity;
  #obstacle: string | undefined;

  constructor(
    private readonly ports: SilentLogsPorts,
    private readonly clock: MonotonicClock = () => performance.now(),
  ) {}

  async watch({ signal }: { signal: AbortSignal }): Promise<void> {
    while (!signal.aborted) {
      await sleep(WATCH_INTERVAL_MS, { signal });
      // Not awaited: a broker that does not answer must delay neither the next look nor the end of the program.
      void this.look();
    }
  }

  /** Never rejects. */
  async look(): Promise<void> {
    const { connection, partitions, whyNotCompaction, telemetry } = this.ports;
    const assigned = new Set(partitions());
    const silent = [...assigned].filter(({ fetchStatus }) => fetchStatus.isBrokerSilent);
    for (const partition of this.#reported) {
      // With the offsets of now.
      if (silent.includes(partition)) this.#tell(partition);
      else {
        this.#reported.delete(partition);
        if (assigned.has(partition)) telemetry.partitionHeard(partition.log);
      }
    }
    const isNew = silent.some((partition) => !this.#reported.has(partition));
    const isDecisive = silent.some(({ fetchStatus }) => fetchStatus.isProvenEmpty);
    const isDue = isNew || (isDecisive && this.clock() - this.#askedAt >= QUESTION_INTERVAL_MS);
    if (!isDue || this.#asking) return;
    this.#asking = true;
    this.#askedAt = this.clock();
    this.#obstacle = await whyNotCompaction(connection);
    this.#asking = false;
    for (const partition of silent) {
      const { fetchStatus, state } = partition;
      // Records came meanwhile, or the partition was closed.
      if (!fetchStatus.isBrokerSilent || state === "closed") continue;
      this.#tell(partition);
      this.#reported.add(partition);
      // Settings that were read minutes ago may have changed: only these count.
      if (this.#obstacle === undefined && fetchStatus.isProvenEmpty) fetchStatus.explain();
    }
  }

  #tell({ log, fetchOffset, lastStableOffset }: Partition): void {
    const is =
      `Kafka sends no record from offset ${fetchOffset} on, although the log ends at ${lastStableOffset}`;
    const next = this.#obstacle === undefined
      ? "compaction may have removed them all: a gap is recorded if it sends none for three minutes"
      : `${this.#obstacle}: look at the broker's log and its storage`;
    const reason = `${is}; ${next}; it is asked again, and reading resumes by itself`;
    this.ports.telemetry.partitionSilent(log, reason);
  }
}
