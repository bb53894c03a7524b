/** The loop: a round when something waits, a pause behind each, and what is said of both. */
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

/** Without a commit of this consumer: others may have stopped behind one. */
const IDLE_MS = 5_000;
/** One round at full speed, of a few seconds. */
const MOST_OFFSETS = 1_000_000;
/** A round that takes longer is followed by smaller ones, so that rounds end in good time on a slow machine, too. */
const LONG_ROUND_MS = 10_000;
/** Without a round for so long, the rollup gets no more room from the ingest, and the consumer is not ready. */
const STALL_MS = 30_000;
/** The last round of an orderly stop has so long; what is left is the next consumer's. */
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
  readonly #woken = new Notifier();
  readonly #stop = new AbortController();
  readonly #ended: Promise<void>;
  readonly #startedAt = performance.now();
  /** Records that wait for the ingest. */
  #due = 0;
  /** When this consumer last committed a batch. */
  #batchAt = -Infinity;
  /** Whether a change or a rebuild waits, as far as is known. */
  #waits = false;
  /** When a round was last committed, or nothing waited. */
  #wellAt = performance.now();
  #lag: Lag | undefined;
  #ingestConnections = Infinity;
  #mostOffsets = MOST_OFFSETS;
  #sliceRows = MIN_REBUILD_ROWS;
  #pauseMs = MIN_PAUSE_MS;
  /** Whether the last round left nothing. */
  #isWhole = true;
  /** This consumer's last. */
  #round: string | undefined;
  #failure: { readonly times: number; readonly reason: string } | undefined;

  /** Rounds run from now on, in a session of their own. @param database how the ingest reaches it */
  constructor(
    private readonly database: { readonly url: string; readonly name: string; readonly connections: number },
    private readonly store: { readonly setMaxInFlight: (width: number) => void },
    private readonly telemetry: RollupTelemetry,
  ) {
    this.#database = openDatabase(database.url, { ...database, connections: 0, limits: ROLLUP_LIMITS });
    this.#ended = this.#run();
  }

  /** This consumer committed a batch. @param due records that wait for the ingest behind it */
  committed(due: number): void {
    this.#due = due;
    this.#batchAt = performance.now();
    this.#waits = true;
    this.#woken.notify();
  }

  /** Call it once a second. */
  watch(): void {
    const { database: { connections }, store, telemetry } = this;
    const silentMs = performance.now() - this.#wellAt;
    const isStalled = this.#waits && silentMs > STALL_MS;
    if (isStalled) telemetry.rollupStalled(Math.floor(silentMs / 1000), this.#failure?.reason);
    else telemetry.rollupWorks();
    // What others left behind before this consumer began is not of its doing.
    const lagSeconds = Math.min(this.#lag?.seconds ?? 0, (performance.now() - this.#startedAt) / 1000);
    this.#ingestConnections = ingestConnections(connections, {
      last: this.#ingestConnections,
      lagSeconds,
      isStalled,
    });
    store.setMaxInFlight(this.#ingestConnections);
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      const began = performance.now();
      const next = await this.#attempt();
      if (next === "idle") await this.#woken.wait({ signal, atMostMs: IDLE_MS });
      else if (next === "pause") await this.#pause(performance.now() - began);
      else await sleep(next, { signal });
    }
  }

  /** Looks, and does a round when something waits. @returns what comes next; a number is milliseconds to wait */
  async #attempt({ isLast = false } = {}): Promise<"idle" | "pause" | number> {
    try {
      const lag = await this.#look();
      const restMs = isLast ? 0 : this.#restMs(lag);
      if (!lag.isNone && restMs <= 0) {
        const size = { offsets: this.#mostOffsets, ...lag.isRebuilding && { sliceRows: this.#sliceRows } };
        const began = performance.now();
        const outcome = await runRound(this.#database, size);
        if ("round" in outcome) this.#committed(outcome, performance.now() - began);
      }
      this.#failure = undefined;
      return lag.isNone ? "idle" : restMs > 0 ? restMs : "pause";
    } catch (error) {
      // Another transaction changed what this snapshot still shows as it was: the next snapshot has it.
      if (sqlState(error) === SERIALIZATION_FAILURE) return 0;
      if (isTimeout(error)) {
        this.#mostOffsets = Math.ceil(this.#mostOffsets / 2);
        this.#sliceRows = MIN_REBUILD_ROWS;
      }
      this.#failure = { times: (this.#failure?.times ?? 0) + 1, reason: describeError(error) };
      return backoffMs(this.#failure.times);
    }
  }

  async #look(): Promise<Lag> {
    const lag = this.#lag = await readLag(this.#database);
    this.#waits = !lag.isNone;
    this.telemetry.rollupLag(lag.seconds);
    const waitsSeconds = lag.isRebuilding ? Infinity : lag.seconds;
    const wellSeconds = lag.isNone ? 0 : Math.min(lag.sinceRoundSeconds, waitsSeconds);
    this.#wellAt = Math.max(this.#wellAt, performance.now() - wellSeconds * 1000);
    return lag;
  }

  /** Behind a round of another consumer the pause counts too: together they shall not work more than one. */
  #restMs({ round, sinceRoundSeconds }: Lag): number {
    if (this.#round === undefined || round === this.#round) return 0;
    const isQuiet = performance.now() - this.#batchAt > IDLE_MS;
    return (isQuiet ? MAX_PAUSE_MS : this.#pauseMs) - sinceRoundSeconds * 1000;
  }

  #committed(outcome: Extract<Outcome, { round: string }>, ms: number): void {
    const { telemetry } = this;
    this.#mostOffsets = Math.min(
      MOST_OFFSETS,
      Math.ceil(this.#mostOffsets * Math.min(2, LONG_ROUND_MS / ms)),
    );
    this.#round = outcome.round;
    this.#isWhole = outcome.kind !== "applied" || outcome.isWhole;
    this.#wellAt = performance.now();
    telemetry.roundCommitted();
    if (outcome.kind === "broken") telemetry.rebuildBegan(outcome.reason);
    if (outcome.kind !== "minutes rebuilt") return;
    this.#sliceRows = nextRebuildRows(this.#sliceRows, outcome.ms);
    if (outcome.isLast) telemetry.rebuildEnded();
  }

  /** Ends early when the ingest has nothing left to do: there is nothing to spare it. */
  async #pause(roundMs: number): Promise<void> {
    const { signal } = this.#stop;
    const began = performance.now();
    for (let now = began; !signal.aborted; now = performance.now()) {
      const isIdle = this.#due === 0 && now - Math.max(began, this.#batchAt) >= MIN_PAUSE_MS;
      this.#pauseMs = pauseMs(roundMs, this.#due, this.#isWhole);
      const leftMs = began + this.#pauseMs - now;
      if (isIdle || leftMs <= 0) return;
      await sleep(Math.min(leftMs, MIN_PAUSE_MS), { signal });
    }
  }

  /** One round more, if the database answers in time. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    const { promise: tooLate, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, LAST_ROUND_MS);
    const lastRound = async () => {
      await this.#ended;
      if (this.#failure === undefined) await this.#attempt({ isLast: true });
      await this.#database[Symbol.asyncDispose]();
    };
    await Promise.race([lastRound(), tooLate]);
    clearTimeout(timer);
  }
}
