/** Runs rounds while work waits, pauses between them, and decides how many connections the ingest may use. */
import { backoffMs, sleep } from "../../_shared/backoff.ts";
import { describeError } from "../../_shared/errors.ts";
import { type Database, isTimeout, openDatabase, sqlState } from "../../_shared/postgres.ts";
import { Notifier } from "../kafka_partition/notifier.ts";
import {
  ingestConnections,
  MAX_PAUSE_MS,
  MIN_PAUSE_MS,
  MIN_REBUILD_ROWS,
  nextRebuildRows,
  pauseMs,
} from "./pace.ts";
import { type Lag, type Outcome, readLag, ROLLUP_LIMITS, runRound } from "./round.ts";

/** An idle rollup still reads the lag this often, because a consumer that stopped may have left change rows. */
const IDLE_MS = 5_000;
/** A few seconds of work at full speed. */
const MAX_OFFSETS = 1_000_000;
/** After a longer round, the next one is smaller. */
const LONG_ROUND_MS = 10_000;
const STALL_MS = 30_000;
/** Limits the last round of an orderly stop. The next consumer applies the rest. */
const LAST_ROUND_MS = 4_000;
const SERIALIZATION_FAILURE = "40001";

export interface RollupTelemetry {
  readonly rollupLag: (seconds: number) => void;
  readonly roundCommitted: () => void;
  readonly rebuildBegan: (reason: string) => void;
  readonly rebuildEnded: () => void;
  readonly rollupStalled: (seconds: number, failure: string | undefined) => void;
  readonly rollupWorks: () => void;
}

export class Rollup implements AsyncDisposable {
  readonly #database: Database;
  readonly #wake = new Notifier();
  readonly #stop = new AbortController();
  readonly #ended: Promise<void>;
  readonly #startedAt = performance.now();
  #dueRecords = 0;
  #lastBatchAt = -Infinity;
  #hasWork = false;
  /** When a round was last committed, or no work was waiting. */
  #lastProgressAt = performance.now();
  #lag: Lag | undefined;
  #ingestConnections = Infinity;
  #maxOffsets = MAX_OFFSETS;
  #rebuildRows = MIN_REBUILD_ROWS;
  #pauseMs = MIN_PAUSE_MS;
  #appliedAll = true;
  #lastRound: string | undefined;
  #failure: { readonly times: number; readonly reason: string } | undefined;

  constructor(
    private readonly config: { readonly url: string; readonly name: string; readonly connections: number },
    private readonly store: { readonly setMaxInFlight: (width: number) => void },
    private readonly telemetry: RollupTelemetry,
  ) {
    this.#database = openDatabase(config.url, { ...config, connections: 0, limits: ROLLUP_LIMITS });
    this.#ended = this.#run();
  }

  /** Call it after each batch that this consumer commits. `due` is the number of records that the ingest has not stored yet. */
  committed(due: number): void {
    this.#dueRecords = due;
    this.#lastBatchAt = performance.now();
    this.#hasWork = true;
    this.#wake.notify();
  }

  watch(): void {
    const { config: { connections }, store, telemetry } = this;
    const silentMs = performance.now() - this.#lastProgressAt;
    const isStalled = this.#hasWork && silentMs > STALL_MS;
    if (isStalled) telemetry.rollupStalled(Math.floor(silentMs / 1000), this.#failure?.reason);
    else telemetry.rollupWorks();
    // Lag from before the start of this consumer is no reason to slow down its ingest.
    const lagSeconds = Math.min(this.#lag?.seconds ?? 0, (performance.now() - this.#startedAt) / 1000);
    const last = this.#ingestConnections;
    this.#ingestConnections = ingestConnections(connections, { last, lagSeconds, isStalled });
    store.setMaxInFlight(this.#ingestConnections);
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      const began = performance.now();
      const next = await this.#attempt();
      if (next === "idle") await this.#wake.wait({ signal, atMostMs: IDLE_MS });
      else if (next === "pause") await this.#pause(performance.now() - began);
      else await sleep(next, { signal });
    }
  }

  /** @returns what follows; a number is the time to wait, in milliseconds */
  async #attempt({ isLast = false } = {}): Promise<"idle" | "pause" | number> {
    try {
      const lag = await this.#readLag();
      const restMs = isLast ? 0 : this.#restMs(lag);
      if (!lag.isNone && restMs <= 0) {
        const size = { offsets: this.#maxOffsets, ...lag.isRebuilding && { rebuildRows: this.#rebuildRows } };
        const began = performance.now();
        const outcome = await runRound(this.#database, size);
        if ("round" in outcome) this.#roundCommitted(outcome, performance.now() - began);
      }
      this.#failure = undefined;
      return lag.isNone ? "idle" : restMs > 0 ? restMs : "pause";
    } catch (error) {
      // Another transaction changed a row after this snapshot was taken.
      if (sqlState(error) === SERIALIZATION_FAILURE) return 0;
      if (isTimeout(error)) {
        this.#maxOffsets = Math.ceil(this.#maxOffsets / 2);
        this.#rebuildRows = MIN_REBUILD_ROWS;
      }
      this.#failure = { times: (this.#failure?.times ?? 0) + 1, reason: describeError(error) };
      return backoffMs(this.#failure.times);
    }
  }

  async #readLag(): Promise<Lag> {
    const lag = this.#lag = await readLag(this.#database);
    this.#hasWork = !lag.isNone;
    this.telemetry.rollupLag(lag.seconds);
    const workSeconds = lag.isRebuilding ? Infinity : lag.seconds;
    const silentSeconds = lag.isNone ? 0 : Math.min(lag.sinceRoundSeconds, workSeconds);
    this.#lastProgressAt = Math.max(this.#lastProgressAt, performance.now() - silentSeconds * 1000);
    return lag;
  }

  /** Milliseconds until the next round. Rounds of other consumers count, too, so more consumers do not run more rounds. */
  #restMs({ round, sinceRoundSeconds }: Lag): number {
    if (this.#lastRound === undefined || round === this.#lastRound) return 0;
    const isQuiet = performance.now() - this.#lastBatchAt > IDLE_MS;
    return (isQuiet ? MAX_PAUSE_MS : this.#pauseMs) - sinceRoundSeconds * 1000;
  }

  #roundCommitted(outcome: Extract<Outcome, { round: string }>, ms: number): void {
    const { telemetry } = this;
    const factor = Math.min(2, LONG_ROUND_MS / ms);
    this.#maxOffsets = Math.min(MAX_OFFSETS, Math.ceil(this.#maxOffsets * factor));
    this.#lastRound = outcome.round;
    this.#appliedAll = outcome.kind !== "applied" || outcome.appliedAll;
    this.#lastProgressAt = performance.now();
    telemetry.roundCommitted();
    if (outcome.kind === "broken") telemetry.rebuildBegan(outcome.reason);
    if (outcome.kind !== "minutes rebuilt") return;
    this.#rebuildRows = nextRebuildRows(this.#rebuildRows, outcome.ms);
    if (outcome.isLast) telemetry.rebuildEnded();
  }

  /** Ends early when the ingest is idle, because then the rollup delays nothing. */
  async #pause(roundMs: number): Promise<void> {
    const { signal } = this.#stop;
    const began = performance.now();
    for (let now = began; !signal.aborted; now = performance.now()) {
      const isIdle = this.#dueRecords === 0 && now - Math.max(began, this.#lastBatchAt) >= MIN_PAUSE_MS;
      const hasConnection = this.#ingestConnections < this.config.connections;
      this.#pauseMs = pauseMs(roundMs, this.#dueRecords, this.#appliedAll, hasConnection);
      const leftMs = began + this.#pauseMs - now;
      if (isIdle || leftMs <= 0) return;
      await sleep(Math.min(leftMs, MIN_PAUSE_MS), { signal });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    const ended = new AbortController();
    const lastRound = async () => {
      await this.#ended;
      if (this.#failure === undefined) await this.#attempt({ isLast: true });
      await this.#database[Symbol.asyncDispose]();
    };
    await Promise.race([lastRound(), sleep(LAST_ROUND_MS, ended)]);
    ended.abort();
  }
}
