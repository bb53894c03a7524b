/** The loop: a round when something waits, a pause behind each, and what is said of both. */
import { backoffMs, sleep } from "../../_shared/backoff.ts";
import { type Database, openDatabase, sqlState, tookTooLong } from "../../_shared/postgres.ts";
import { Notifier } from "../kafka_partition/notifier.ts";
import { pauseMs, QUIET_MS } from "./pace.ts";
import { type Outcome, readLag, ROLLUP_LIMITS, runRound } from "./round.ts";

/** Without a commit of this consumer: for those of others. */
const IDLE_MS = 5_000;
/** A round takes more of a long backlog, in about as many seconds as it takes less while batches are small. */
const MOST_OFFSETS = 1_000_000;
/** The last round of an orderly stop has so long; what is left is the next consumer's. */
const LAST_ROUND_MS = 4_000;
const SERIALIZATION_FAILURE = "40001";

export interface RollupPorts {
  readonly telemetry: {
    readonly rollupLag: (seconds: number) => void;
    readonly roundCommitted: () => void;
  };
}

export class Rollup implements AsyncDisposable {
  readonly #database: Database;
  readonly #woken = new Notifier();
  readonly #stop = new AbortController();
  readonly #ended: Promise<void>;
  #mostOffsets = MOST_OFFSETS;
  #failures = 0;
  #due = 0;
  #committedAt = -Infinity;

  /** It runs from the start, in a session of its own. */
  constructor({ url, name }: { url: string; name: string }, private readonly ports: RollupPorts) {
    this.#database = openDatabase(url, { connections: 0, limits: ROLLUP_LIMITS, name });
    this.#ended = this.#run();
  }

  /** A batch of this consumer was committed. */
  committed(): void {
    this.#committedAt = performance.now();
    this.#woken.notify();
  }

  /** @param records that wait for the ingest */
  due(records: number): void {
    this.#due = records;
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      const began = performance.now();
      const outcome = await this.#attempt();
      if (outcome === "failed") await sleep(backoffMs(this.#failures), { signal });
      else if (outcome === "nothing") await this.#woken.wait({ signal, atMostMs: IDLE_MS });
      else await this.#pause(performance.now() - began);
    }
  }

  async #attempt(): Promise<Outcome["kind"] | "nothing" | "failed"> {
    const { telemetry } = this.ports;
    try {
      const lag = await readLag(this.#database);
      telemetry.rollupLag(lag.seconds);
      if (lag.isNone) return "nothing";
      const outcome = await runRound(this.#database, this.#mostOffsets);
      if (outcome.kind === "applied") telemetry.roundCommitted();
      this.#failures = 0;
      this.#mostOffsets = Math.min(MOST_OFFSETS, this.#mostOffsets * 2);
      return outcome.kind;
    } catch (error) {
      // Another session changed what this snapshot shows otherwise.
      if (sqlState(error) === SERIALIZATION_FAILURE) return "busy";
      if (tookTooLong(error)) this.#mostOffsets = Math.ceil(this.#mostOffsets / 2);
      this.#failures++;
      return "failed";
    }
  }

  async #pause(roundMs: number): Promise<void> {
    const { signal } = this.#stop;
    const began = performance.now();
    const end = began + pauseMs(roundMs, this.#due);
    while (!signal.aborted) {
      const until = Math.min(end, Math.max(began, this.#committedAt) + QUIET_MS);
      const now = performance.now();
      if (now >= until) return;
      await sleep(until - now, { signal });
    }
  }

  /** One round more, if the database answers in time. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    const last = this.#ended
      .then(() => this.#failures === 0 ? this.#attempt() : undefined)
      .then(() => this.#database[Symbol.asyncDispose]());
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, LAST_ROUND_MS);
    await Promise.race([last, promise]);
    clearTimeout(timer);
  }
}
