import type { KafkaConnection } from "../../_shared/kafka/client.ts";
import type { Partition } from "../kafka_partition/partition.ts";
import type { MonotonicClock } from "../health/health_state.ts";
import type { FetchPorts } from "./fetch_loop.ts";

/** Time between two requests for the topic's settings, which complete the proof that a log is empty. */
const SETTINGS_INTERVAL_MS = 5_000;

interface SilentLogsPorts extends Pick<FetchPorts, "connection" | "partitions" | "telemetry"> {
  /** Reads the topic's settings. Returns undefined if compaction is the only explanation of the silence. */
  readonly whyNotCompaction: (connection: KafkaConnection) => Promise<string | undefined>;
}

/** Reports partitions whose broker sends no records, and decides whether compaction explains it. */
export class SilentLogs {
  readonly #reported = new Set<Partition>();
  #asking = false;
  #askedAt = -Infinity;
  #obstacle: string | undefined;

  constructor(
    private readonly ports: SilentLogsPorts,
    private readonly clock: MonotonicClock = () => performance.now(),
  ) {}

  /** Call it once a second. Never rejects. */
  async check(): Promise<void> {
    const { connection, partitions, whyNotCompaction, telemetry } = this.ports;
    const assigned = new Set(partitions());
    const silent = [...assigned].filter(({ fetchStatus }) => fetchStatus.isBrokerSilent);
    for (const partition of this.#reported) {
      if (silent.includes(partition)) this.#report(partition);
      else {
        this.#reported.delete(partition);
        if (assigned.has(partition)) telemetry.partitionHeard(partition.log);
      }
    }
    const isNew = silent.some((partition) => !this.#reported.has(partition));
    const isDecisive = silent.some(({ fetchStatus }) => fetchStatus.isProvenEmpty);
    const isDue = isNew || (isDecisive && this.clock() - this.#askedAt >= SETTINGS_INTERVAL_MS);
    if (!isDue || this.#asking) return;
    this.#asking = true;
    this.#askedAt = this.clock();
    this.#obstacle = await whyNotCompaction(connection);
    this.#asking = false;
    for (const partition of silent) {
      const { fetchStatus, state } = partition;
      // Meanwhile, records may have come, or the partition may have been closed.
      if (!fetchStatus.isBrokerSilent || state === "closed") continue;
      this.#report(partition);
      this.#reported.add(partition);
      if (this.#obstacle === undefined && fetchStatus.isProvenEmpty) fetchStatus.explain();
    }
  }

  #report({ log, fetchOffset, lastStableOffset }: Partition): void {
    const silence =
      `Kafka sends no record from offset ${fetchOffset} on, although the log ends at ${lastStableOffset}`;
    const next = this.#obstacle === undefined
      ? "compaction may have removed them all: a gap is recorded if it sends none for three minutes"
      : `${this.#obstacle}: look at the broker's log and its storage`;
    const reason = `${silence}; ${next}; the consumer asks again, and reading resumes by itself`;
    this.ports.telemetry.partitionSilent(log, reason);
  }
}
