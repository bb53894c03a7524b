/** A run: load, consumers, faults and the judge, until the time is over, something differs, or somebody stops it. */
import { Consumer } from "@platformatic/kafka";
import { CLONE } from "../stack/process/clone.ts";
import { keepRunning } from "../stack/process/keep_running.ts";
import { taskArguments } from "../stack/worker_task.ts";
import { sleep } from "../workers/_shared/backoff.ts";
import { openDatabase, sessionLimits } from "../workers/_shared/postgres.ts";
import type { Arena } from "./arena/arena.ts";
import { type ChaosFlags, commandOf } from "./command_line.ts";
import { ConsumerProcess } from "./arena/consumer_process.ts";
import { clock, type Fault } from "./faults/fault.ts";
import { Judge } from "./judge/judge.ts";
import {
  comesWhileMoving,
  LedgerWatch,
  STANDSTILL_MS,
  type StandstillOptions,
} from "./judge/ledger_watch.ts";
import { Load } from "./load/load.ts";
import { type Counts, describeCounts, type Outcome } from "./outcome.ts";
import { LIMITS, Records } from "./load/records.ts";
import { aborted, Siege } from "./siege.ts";

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
export async function run(options: RunOptions): Promise<Outcome | undefined> {
  await using resources = new AsyncDisposableStack();
  return await new Run(options, resources).outcome();
}

class Run {
  readonly #options: RunOptions;
  readonly #standstill: StandstillOptions;
  readonly #over = new AbortController();
  readonly #load: Load;
  readonly #watch: LedgerWatch;
  readonly #judge: Judge;
  readonly #consumers: readonly ConsumerProcess[];
  readonly #siege: Siege;
  readonly #beganAt = performance.now();
  readonly #problems: string[] = [];
  #judgePeakMb = 0;

  constructor(options: RunOptions, resources: AsyncDisposableStack) {
    const { flags, arena, onProgress, signal, standstillMs = STANDSTILL_MS } = this.#options = options;
    this.#standstill = { standstillMs, signal: AbortSignal.any([signal, this.#over.signal]) };
    const database = (name: string, limits: typeof JUDGE_LIMITS) =>
      resources.use(openDatabase(arena.databaseUrl, { connections: 1, limits, name }));
    const watching = database("heartbeat-chaos", sessionLimits(5_000));
    const judging = database("heartbeat-chaos-judge", JUDGE_LIMITS);
    const records = new Records(flags);
    const onFailure = withoutRepetition((text) => onProgress(`a send failed and is repeated: ${text}`));
    const load = new Load({ connection: arena.producerKafka, records, rate: flags.rate, onFailure });
    this.#load = resources.use(load);
    this.#watch = new LedgerWatch(watching.query, arena.topic);
    this.#judge = new Judge({ query: judging.query, records, load });
    const consumers = this.#consumers = Array.from(
      { length: flags.consumers },
      (_, index) => startConsumer(index, arena, onProgress),
    );
    resources.defer(() => Promise.all(consumers.map((one) => one[Symbol.asyncDispose]())).then(() => {}));
    // Closed first: who says goodbye to a frozen server waits for it.
    resources.defer(() => calm(arena));
    this.#siege = new Siege({ ...options, consumers, load, watch: this.#watch });
  }

  async outcome(): Promise<Outcome | undefined> {
    const { flags, signal } = this.#options;
    const background = this.#startBackground();
    await this.#besiege();
    const lost = this.#signal.aborted ? undefined : await this.#judgeTheWhole();
    this.#over.abort();
    await Promise.race([Promise.all(background), aborted(signal)]);
    const problems = [...this.#problems, ...this.#rebuilds()];
    if (signal.aborted && problems.length === 0) return undefined;
    return {
      command: commandOf(flags),
      elapsedMs: performance.now() - this.#beganAt,
      counts: this.#counts,
      suffered: this.#siege.suffered,
      ownEnds: this.#consumers.reduce((sum, { ownEnds }) => sum + ownEnds, 0),
      lost,
      problems,
      judgePeakMb: this.#judgePeakMb,
    };
  }

  /** Aborts when the run is over, or somebody stops it. */
  get #signal(): AbortSignal {
    return this.#standstill.signal;
  }

  get #counts(): Counts {
    const { stored, rejected, duplicates, gaps } = this.#watch;
    const { sends, failures } = this.#load;
    return { produced: sends.acknowledged, failedSends: failures, stored, rejected, duplicates, gaps };
  }

  #startBackground(): readonly Promise<unknown>[] {
    const signal = this.#signal;
    const tasks = [
      this.#watch.run({ signal }),
      this.#tellProgress(),
      this.#judgeAllTheTime(),
      ...this.#consumers.map((one) => keepRunning(one, { signal, onProgress: () => {} })),
    ];
    for (const task of tasks) this.#endsAtFailureOf(task);
    return tasks;
  }

  #endsAtFailureOf(task: Promise<unknown>): void {
    task.catch((error) => this.#over.abort(error));
  }

  async #tellProgress(): Promise<void> {
    const { faults, onProgress } = this.#options;
    while (!this.#signal.aborted) {
      await sleep(PROGRESS_EVERY_MS, { signal: this.#signal });
      this.#judgePeakMb = Math.max(this.#judgePeakMb, Math.round(Deno.memoryUsage().rss / 2 ** 20));
      const lag = this.#load.sends.ends.reduce(
        (sum, end, partition) => sum + Math.max(0, end - (this.#watch.next[partition] ?? 0)),
        0,
      );
      const { suffered, active } = this.#siege;
      const state = `${suffered.length} of ${faults.length} faults begun, ${active} under way`;
      const time = clock(performance.now() - this.#beganAt);
      const behind = `lag ${lag}, rollup ${this.#watch.behind} behind`;
      onProgress(`${time}  ${describeCounts(this.#counts)}, ${behind}; ${state}`);
    }
  }

  async #judgeAllTheTime(): Promise<void> {
    while (!this.#signal.aborted) {
      await sleep(LOOK_EVERY_MS, { signal: this.#signal });
      try {
        this.#problems.push(...await this.#judge.look([...this.#watch.next]));
      } catch {
        // The database is away, which is what this is about; what cannot be looked at now is looked at later.
      }
      if (this.#problems.length > 0 || this.#rebuilds().length > 0) this.#over.abort();
    }
  }

  /**
   * Each is a difference: a crash and its recovery give the rollup no reason for one. It hides what was wrong, so nothing else
   * would tell. A consumer that is killed at once says nothing of it, and a look may come too late: both count.
   */
  #rebuilds(): string[] {
    const said = this.#consumers.flatMap(({ name, rebuilds }) =>
      rebuilds.map((line) => `the rollup began to rebuild, says ${name}: ${line}`)
    );
    return said.length === 0 && this.#watch.sawRebuild ? ["the rollup was seen rebuilding"] : said;
  }

  /** Load and faults, until both are over. */
  async #besiege(): Promise<void> {
    const { flags, onProgress } = this.#options;
    const signal = this.#signal;
    const loadOver = new AbortController();
    const loading = this.#load.run({ signal: AbortSignal.any([signal, loadOver.signal]), abandon: signal });
    this.#endsAtFailureOf(loading);
    // A pipeline that has not begun to run cannot be disturbed.
    const running = this.#load.acknowledgement.then(() => this.#watch.reaches(this.#load.sends.ends));
    if (!await this.#comes("not begun", running, () => this.#load.sends.ends)) this.#over.abort();
    if (!signal.aborted) onProgress("The pipeline runs; the time begins");
    const besieging = this.#siege.run({ signal });
    this.#endsAtFailureOf(besieging);
    // A server that takes long to come back does so under load too.
    await Promise.all([sleep(flags.minutes * 60_000, { signal }), besieging]);
    loadOver.abort();
    await loading;
  }

  /** @returns how many records are lost; undefined when the whole could not be judged */
  async #judgeTheWhole(): Promise<number | undefined> {
    const { arena, onProgress } = this.#options;
    onProgress("Load and faults are over; the consumers catch up");
    const ends = await endsOf(arena);
    await this.#comes("not caught up", this.#watch.reaches(ends), () => ends);
    if (this.#problems.length > 0 || this.#signal.aborted) return undefined;
    await this.#siege.recovered();
    onProgress("Caught up; everything is judged");
    const { lost, problems } = await this.#judge.everything(ends);
    this.#problems.push(...problems, ...await reconcile(arena, { signal: this.#signal }));
    return lost;
  }

  /** @returns false, and a problem is noted, when the consumers stand still before the fact comes */
  async #comes(otherwise: string, fact: Promise<unknown>, ends: () => readonly number[]): Promise<boolean> {
    if (await comesWhileMoving(fact, this.#watch, this.#standstill)) return true;
    const where = ends().map((end, partition) => `${this.#watch.next[partition] ?? 0} of ${end}`).join(", ");
    const seconds = this.#standstill.standstillMs / 1000;
    this.#problems.push(
      `${otherwise}: nothing was committed for ${seconds} s, next offsets are ${where}`,
    );
    return false;
  }
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

/** A broker that is away makes many sends fail with the same words. */
function withoutRepetition(tell: (text: string) => void): (text: string) => void {
  let last = "";
  return (text) => {
    if (text !== last) tell(text);
    last = text;
  };
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

/**
 * `deno task reconcile` as its users run it: a process that shares no code with the judge.
 *
 * @returns its words when it finds something unaccounted for
 */
async function reconcile(arena: Arena, { signal }: { signal: AbortSignal }): Promise<string[]> {
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: taskArguments("reconcile"),
    env: {
      KAFKA_BOOTSTRAP_SERVERS: arena.kafka.servers,
      KAFKA_TOPIC: arena.topic,
      ...(Object.hasOwn(arena.consumerEnv, "DATABASE_URL") ? { DATABASE_URL: arena.databaseUrl } : {}),
    },
    cwd: CLONE,
    stdin: "null",
    signal,
  }).output();
  if (success || signal.aborted) return [];
  const words = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
  return [`reconcile found something unaccounted for:\n${words.trim()}`];
}
