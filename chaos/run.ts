/** Runs the load, the faults and the judge. A run ends at the first difference. */
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
import type { Judgement } from "./judge/everything.ts";
import { Judge } from "./judge/judge.ts";
import { LedgerWatch, STANDSTILL_MS, type StandstillOptions, waitWhileMoving } from "./judge/ledger_watch.ts";
import { Load } from "./load/load.ts";
import { type Counts, describeCounts, type Outcome } from "./outcome.ts";
import { LIMITS, Records } from "./load/records.ts";
import { FaultInjector, whenAborted } from "./fault_injector.ts";

const JUDGE_EVERY_MS = 2_000;
const PROGRESS_EVERY_MS = 10_000;
/** The judge's last queries read all rows, which can take minutes. */
const JUDGE_LIMITS = {
  statementMs: 600_000,
  lockMs: 60_000,
  idleInTransactionMs: 600_000,
  transactionMs: 600_000,
};
/** Short, so that partitions of a dead consumer soon get a new owner. */
const SESSION_TIMEOUT_MS = 10_000;

export interface RunOptions {
  readonly flags: ChaosFlags;
  readonly arena: Arena;
  readonly faults: readonly Fault[];
  readonly onProgress: (text: string) => void;
  readonly signal: AbortSignal;
  /** Maximum time without a commit while no fault is active. */
  readonly standstillMs?: number;
}

/** @returns undefined if the signal ended the run before any difference was found */
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
  readonly #injector: FaultInjector;
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
    const onFailure = skipRepeats((text) => onProgress(`a send failed and will be repeated: ${text}`));
    const load = new Load({ connection: arena.producerKafka, records, rate: flags.rate, onFailure });
    this.#load = resources.use(load);
    this.#watch = new LedgerWatch(watching.query, arena.topic);
    this.#judge = new Judge({ query: judging.query, records, load });
    const consumers = this.#consumers = Array.from(
      { length: flags.consumers },
      (_, index) => startConsumer(index, arena, onProgress),
    );
    resources.defer(() =>
      Promise.all(consumers.map((consumer) => consumer[Symbol.asyncDispose]())).then(() => {})
    );
    // Runs before the disposal above: a consumer that leaves its group would wait for a frozen server.
    resources.defer(() => undoFaults(arena));
    this.#injector = new FaultInjector({ ...options, consumers, load, watch: this.#watch });
  }

  async outcome(): Promise<Outcome | undefined> {
    const { flags, signal } = this.#options;
    const background = this.#startBackground();
    await this.#runLoadAndFaults();
    const judgement = this.#signal.aborted ? undefined : await this.#judgeEverything();
    this.#over.abort();
    await Promise.race([Promise.all(background), whenAborted(signal)]);
    const problems = [...this.#problems, ...this.#rebuildProblems()];
    if (signal.aborted && problems.length === 0) return undefined;
    return {
      command: commandOf(flags),
      elapsedMs: performance.now() - this.#beganAt,
      counts: this.#counts,
      injected: this.#injector.injected,
      unexpectedExits: this.#consumers.reduce((sum, { unexpectedExits }) => sum + unexpectedExits, 0),
      judgement,
      problems,
      judgePeakMb: this.#judgePeakMb,
    };
  }

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
      this.#reportProgress(),
      this.#judgeContinuously(),
      ...this.#consumers.map((consumer) => keepRunning(consumer, { signal, onProgress: () => {} })),
    ];
    for (const task of tasks) this.#endRunIfItFails(task);
    return tasks;
  }

  #endRunIfItFails(task: Promise<unknown>): void {
    task.catch((error) => this.#over.abort(error));
  }

  async #reportProgress(): Promise<void> {
    const { faults, onProgress } = this.#options;
    while (!this.#signal.aborted) {
      await sleep(PROGRESS_EVERY_MS, { signal: this.#signal });
      this.#judgePeakMb = Math.max(this.#judgePeakMb, Math.round(Deno.memoryUsage().rss / 2 ** 20));
      const lag = this.#load.sends.ends.reduce(
        (sum, end, partition) => sum + Math.max(0, end - (this.#watch.next[partition] ?? 0)),
        0,
      );
      const { injected, active } = this.#injector;
      const state = `${injected.length} of ${faults.length} faults have begun, ${active} are active`;
      const time = clock(performance.now() - this.#beganAt);
      const lags = `lag ${lag}, rollup lag ${this.#watch.rollupLag}`;
      onProgress(`${time}  ${describeCounts(this.#counts)}, ${lags}; ${state}`);
    }
  }

  async #judgeContinuously(): Promise<void> {
    while (!this.#signal.aborted) {
      await sleep(JUDGE_EVERY_MS, { signal: this.#signal });
      try {
        this.#problems.push(...await this.#judge.judgeCommitted([...this.#watch.next]));
      } catch {
        // A fault may have stopped the database. The next call compares the same records again.
      }
      if (this.#problems.length > 0 || this.#rebuildProblems().length > 0) this.#over.abort();
    }
  }

  /**
   * A rebuild would hide that change rows were lost, so it counts as a difference. Logs and database are both checked: a consumer
   * that is killed may not log its rebuild, and a short rebuild can end between two queries.
   */
  #rebuildProblems(): string[] {
    const logged = this.#consumers.flatMap(({ name, rebuilds }) =>
      rebuilds.map((line) => `the rollup began to rebuild, according to ${name}: ${line}`)
    );
    if (logged.length > 0 || !this.#watch.sawRebuild) return logged;
    return ["the rollup was rebuilding, according to public.rollup"];
  }

  async #runLoadAndFaults(): Promise<void> {
    const { flags, onProgress } = this.#options;
    const signal = this.#signal;
    const loadOver = new AbortController();
    const loading = this.#load.run({ signal: AbortSignal.any([signal, loadOver.signal]), abandon: signal });
    this.#endRunIfItFails(loading);
    // Faults before the first commit would only delay the start.
    const running = this.#load.acknowledgement.then(() => this.#watch.whenReached(this.#load.sends.ends));
    if (!await this.#waitFor("the pipeline did not start", running, () => this.#load.sends.ends)) {
      this.#over.abort();
    }
    if (!signal.aborted) onProgress("The pipeline runs. The schedule of faults begins now");
    const injecting = this.#injector.run({ signal });
    this.#endRunIfItFails(injecting);
    // The load continues until the last faults end, so that the servers start under load.
    await Promise.all([sleep(flags.minutes * 60_000, { signal }), injecting]);
    loadOver.abort();
    await loading;
  }

  /** @returns undefined if not everything could be judged */
  async #judgeEverything(): Promise<Judgement | undefined> {
    const { arena, onProgress } = this.#options;
    onProgress("Load and faults are over. Waiting for the consumers to catch up");
    const ends = await logEndOffsets(arena);
    await this.#waitFor("the consumers did not catch up", this.#watch.whenReached(ends), () => ends);
    if (this.#problems.length > 0 || this.#signal.aborted) return undefined;
    await this.#injector.allRecovered();
    onProgress("The consumers have caught up. Judging everything");
    const judgement = await this.#judge.judgeAll(ends);
    this.#problems.push(...judgement.problems, ...await reconcile(arena, { signal: this.#signal }));
    return judgement;
  }

  /** @returns false, and adds a problem, if the consumers commit nothing for too long */
  async #waitFor(otherwise: string, done: Promise<unknown>, ends: () => readonly number[]): Promise<boolean> {
    if (await waitWhileMoving(done, this.#watch, this.#standstill)) return true;
    const where = ends().map((end, partition) => `${this.#watch.next[partition] ?? 0} of ${end}`).join(", ");
    const seconds = this.#standstill.standstillMs / 1000;
    this.#problems.push(
      `${otherwise}: the consumers committed nothing for ${seconds} s, their next offsets are ${where}`,
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
      // The judge expects results by these values. Without them the consumer would inherit others from the environment.
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

async function undoFaults({ servers, links }: Arena): Promise<void> {
  for (const link of Object.values(links)) link.heal();
  await Promise.all([servers.broker?.thaw(), servers.database?.thaw()]);
}

/** While a broker is unavailable, each send fails with the same message. */
function skipRepeats(report: (text: string) => void): (text: string) => void {
  let last = "";
  return (text) => {
    if (text !== last) report(text);
    last = text;
  };
}

async function logEndOffsets({ kafka, topic }: Arena): Promise<number[]> {
  const client = new Consumer({ ...kafka.options, retries: 5, groupId: "heartbeat-chaos-ends" });
  try {
    const ends = await client.listOffsets({ topics: [topic] });
    return (ends.get(topic) ?? []).map(Number);
  } finally {
    await client.close(true).catch(() => {});
  }
}

/**
 * Runs reconcile in a separate process. It shares no code with the judge.
 *
 * @returns its output as one problem, if it failed
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
  const output = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
  return [`reconcile failed:\n${output.trim()}`];
}
