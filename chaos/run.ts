/** A run: load, consumers, faults and the judge, until the time is over, something differs, or somebody stops it. */
import { Consumer } from "@platformatic/kafka";
import { keepRunning } from "../stack/keep_running.ts";
import { sleep } from "../workers/_shared/backoff.ts";
import { openDatabase, sessionLimits } from "../workers/_shared/postgres.ts";
import type { Arena } from "./arena.ts";
import { type ChaosFlags, commandOf } from "./command_line.ts";
import { ConsumerProcess } from "./consumer_process.ts";
import { clock, type Fault } from "./fault.ts";
import { Judge } from "./judge.ts";
import { LedgerWatch } from "./ledger_watch.ts";
import { Load } from "./load.ts";
import { type Counts, describeCounts, type Outcome } from "./outcome.ts";
import { LIMITS, Records } from "./records.ts";
import { reconcile } from "./reconcile_process.ts";
import { Siege } from "./siege.ts";
import { comesWhileMoving, STANDSTILL_MS, type StandstillOptions } from "./standstill.ts";

const LOOK_EVERY_MS = 2_000;
const PROGRESS_EVERY_MS = 10_000;
/** Of a judge's question over all that is stored, and of one while the run is under way. */
const JUDGE_LIMITS = {
  statementMs: 600_000,
  lockMs: 60_000,
  idleInTransactionMs: 600_000,
  transactionMs: 600_000,
};
/** A quick takeover: a run has a fault every few seconds. */
const SESSION_TIMEOUT_MS = 10_000;

export interface RunOptions {
  readonly flags: ChaosFlags;
  readonly arena: Arena;
  readonly faults: readonly Fault[];
  readonly onProgress: (text: string) => void;
  readonly signal: AbortSignal;
  /** Milliseconds without a commit after which consumers that nobody disturbs count as standing still. */
  readonly standstillMs?: number;
}

/** @returns undefined when it was stopped before it could be judged */
export async function run(
  { flags, arena, faults, onProgress, signal, standstillMs = STANDSTILL_MS }: RunOptions,
): Promise<Outcome | undefined> {
  await using resources = new AsyncDisposableStack();
  const over = new AbortController();
  const both = AbortSignal.any([signal, over.signal]);
  const database = (name: string, limits: typeof JUDGE_LIMITS) =>
    resources.use(openDatabase(arena.databaseUrl, { connections: 1, limits, name }));
  const watching = database("heartbeat-chaos", sessionLimits(5_000));
  const judging = database("heartbeat-chaos-judge", JUDGE_LIMITS);
  const records = new Records(flags);
  const failed = new Failures(onProgress);
  const load = resources.use(
    new Load({
      connection: arena.producerKafka,
      records,
      rate: flags.rate,
      onFailure: (text) => failed.tell(text),
    }),
  );
  const watch = new LedgerWatch(watching.query, arena.topic);
  const judge = new Judge({ query: judging.query, records, load, topic: arena.topic });
  const consumers = Array.from(
    { length: flags.consumers },
    (_, index) => startConsumer(index, arena, onProgress),
  );
  resources.defer(() => Promise.all(consumers.map((one) => one[Symbol.asyncDispose]())).then(() => {}));
  // Closed first: who says goodbye to a frozen server waits for it.
  resources.defer(() => calm(arena));
  const siege = new Siege({ faults, arena, consumers, load, watch, onProgress });
  const counts = (): Counts => ({
    produced: load.sends.acknowledged,
    failedSends: load.failures,
    stored: watch.stored,
    rejected: watch.rejected,
    duplicates: watch.duplicates,
    gaps: watch.gaps,
  });
  const beganAt = performance.now();
  const problems: string[] = [];
  let judgePeakMb = 0;
  const tellProgress = async () => {
    while (!both.aborted) {
      await sleep(PROGRESS_EVERY_MS, { signal: both });
      judgePeakMb = Math.max(judgePeakMb, Math.round(Deno.memoryUsage().rss / 2 ** 20));
      const lag = load.sends.ends.reduce(
        (sum, end, partition) => sum + Math.max(0, end - (watch.next[partition] ?? 0)),
        0,
      );
      const state = `${siege.suffered.length} of ${faults.length} faults begun, ${siege.active} under way`;
      onProgress(`${clock(performance.now() - beganAt)}  ${describeCounts(counts())}, lag ${lag}; ${state}`);
    }
  };
  const judgeAllTheTime = async () => {
    while (!both.aborted) {
      await sleep(LOOK_EVERY_MS, { signal: both });
      try {
        problems.push(...await judge.look([...watch.next]));
      } catch {
        // The database is away, which is what this is about; what cannot be looked at now is looked at later.
      }
      if (problems.length > 0) over.abort();
    }
  };
  const background = [
    watch.run({ signal: both }),
    tellProgress(),
    judgeAllTheTime(),
    ...consumers.map((one) => keepRunning(one, { signal: both, onProgress: () => {} })),
  ];
  for (const task of background) task.catch((error) => over.abort(error));

  const loadOver = new AbortController();
  const loading = load.run({ signal: AbortSignal.any([both, loadOver.signal]), abandon: both });
  loading.catch((error) => over.abort(error));
  // A pipeline that has not begun to run cannot be disturbed.
  const running = load.acknowledgement.then(() => watch.reaches(load.sends.ends));
  if (!await comesWhileMoving(running, watch, { standstillMs, signal: both })) {
    problems.push(standstill("not begun", watch, load.sends.ends, standstillMs));
    over.abort();
  }
  if (!both.aborted) onProgress("The pipeline runs; the time begins");
  const besieging = siege.run({ signal: both });
  besieging.catch((error) => over.abort(error));
  // A server that takes long to come back does so under load too.
  await Promise.all([sleep(flags.minutes * 60_000, { signal: both }), besieging]);
  loadOver.abort();
  await loading;
  let lost: number | undefined;
  if (!both.aborted) {
    onProgress("Load and faults are over; the consumers catch up");
    const ends = await endsOf(arena);
    problems.push(...await catchUp(watch, ends, { standstillMs, signal: both }));
    if (problems.length === 0 && !both.aborted) {
      await siege.recovered();
      onProgress("Caught up; everything is judged");
      const judgement = await judge.everything(ends);
      lost = judgement.lost;
      problems.push(...judgement.problems, ...await reconcile(arena, { signal: both }));
    }
  }
  over.abort();
  await Promise.race([Promise.all(background), aborted(signal)]);
  if (signal.aborted && problems.length === 0) return undefined;
  return {
    command: commandOf(flags),
    elapsedMs: performance.now() - beganAt,
    counts: counts(),
    suffered: siege.suffered,
    ownEnds: consumers.reduce((sum, { ownEnds }) => sum + ownEnds, 0),
    lost,
    problems,
    judgePeakMb,
  };
}

function startConsumer(index: number, arena: Arena, onProgress: (text: string) => void): ConsumerProcess {
  const name = `consumer ${index + 1}`;
  return new ConsumerProcess({
    name,
    folder: arena.folder,
    pidFile: arena.pidFile(`consumer-${index + 1}`),
    onProgress,
    env: {
      // What the records are made for, whatever the caller's environment says.
      HEART_RATE_MIN: String(LIMITS.minBpm),
      HEART_RATE_MAX: String(LIMITS.maxBpm),
      HEART_RATE_LOW: String(LIMITS.lowBpm),
      HEART_RATE_HIGH: String(LIMITS.highBpm),
      MAX_CLOCK_SKEW_SECONDS: String(LIMITS.maxClockSkewSeconds),
      RETENTION_DAYS: "",
      MINUTE_RETENTION_DAYS: "",
      REJECT_RETENTION_DAYS: "",
      KAFKA_TOPIC: arena.topic,
      KAFKA_GROUP_ID: `${arena.topic}-chaos`,
      KAFKA_SESSION_TIMEOUT_MS: String(SESSION_TIMEOUT_MS),
      ...arena.consumerEnv,
    },
  });
}

/** Undoes what was under way when the run was cut short, as far as that takes no time. */
async function calm({ servers, links }: Arena): Promise<void> {
  for (const link of Object.values(links)) link.heal();
  await Promise.all([servers.broker?.thaw(), servers.database?.thaw()]);
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener("abort", () => resolve(), { once: true });
  });
}

/** A broker that is away makes many sends fail with the same words. */
class Failures {
  #last = "";
  readonly #onProgress: (text: string) => void;

  constructor(onProgress: (text: string) => void) {
    this.#onProgress = onProgress;
  }

  tell(text: string): void {
    if (text !== this.#last) this.#onProgress(`a send failed and is repeated: ${text}`);
    this.#last = text;
  }
}

/** Ends of the log by partition, as Kafka says. */
async function endsOf({ kafka, topic }: Arena): Promise<number[]> {
  const client = new Consumer({ ...kafka.options, retries: 5, groupId: "heartbeat-chaos-ends" });
  try {
    const ends = await client.listOffsets({ topics: [topic] });
    return (ends.get(topic) ?? []).map(Number);
  } finally {
    await client.close(true).catch(() => {});
  }
}

/** @returns a sentence when the consumers stand still before the ends of the log */
async function catchUp(
  watch: LedgerWatch,
  ends: readonly number[],
  options: StandstillOptions,
): Promise<string[]> {
  if (await comesWhileMoving(watch.reaches(ends), watch, options)) return [];
  return [standstill("not caught up", watch, ends, options.standstillMs)];
}

function standstill(what: string, { next }: LedgerWatch, ends: readonly number[], ms: number): string {
  const where = ends.map((end, partition) => `${next[partition] ?? 0} of ${end}`).join(", ");
  return `${what}: nothing was committed for ${ms / 1000} s, next offsets are ${where}`;
}
