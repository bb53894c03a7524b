/** Folder `chaos`: runs the pipeline under load, injects random faults, and checks what happened to each record. */
import { Command } from "commander";
import { decimal, integer, optional, parseSettings, text } from "../workers/_shared/env.ts";
import { UsageError } from "../workers/_shared/errors.ts";

export interface ChaosFlags {
  readonly minutes: number;
  readonly seed: number;
  /** Records per second. */
  readonly rate: number;
  readonly faults: number;
  readonly consumers: number;
  readonly partitions: number;
  /** Uses the operator's servers instead of starting servers. */
  readonly against: boolean;
  readonly plan: boolean;
  readonly report: string | undefined;
}

const FAULTS_PER_MINUTE = 5;
const MAX_SEED = 2 ** 31 - 1;

const SHAPE = {
  minutes: decimal({ min: 0.1, max: 1_440, unit: "minutes", default: 5 }),
  seed: optional(integer({ min: 0, max: MAX_SEED, unit: "the same seed gives the same schedule and load" })),
  rate: decimal({ min: 1, max: 100_000, unit: "records per second", default: 500 }),
  faults: optional(integer({ min: 0, max: 10_000, unit: "faults" })),
  consumers: integer({ min: 1, max: 16, unit: "consumer processes", default: 3 }),
  partitions: integer({ min: 1, max: 64, unit: "partitions", default: 6 }),
  report: optional(text({ expected: "a file to write" })),
};

/** @throws UsageError that names all wrong flags; CommanderError after --help or for an unknown flag */
export function parseChaosFlags(
  args: readonly string[],
  random: () => number = Math.random,
): ChaosFlags {
  const given = createCommand().parse([...args], { from: "user" }).opts<Record<string, string | boolean>>();
  const { against = false, plan = false, ...texts } = given;
  const values = Object.fromEntries(Object.entries(texts).map(([name, value]) => [name, String(value)]));
  const flags = parseSettings("chaos", SHAPE, values, { label: (name) => `--${name}` });
  if (plan && flags.seed === undefined) {
    throw new UsageError("Cannot print the schedule: --seed is missing, expected the seed of a schedule");
  }
  return {
    ...flags,
    seed: flags.seed ?? Math.floor(random() * MAX_SEED),
    faults: flags.faults ?? Math.max(1, Math.round(flags.minutes * FAULTS_PER_MINUTE)),
    against: against === true,
    plan: plan === true,
  };
}

export function commandOf(flags: ChaosFlags): string {
  const { minutes, seed, rate, faults, consumers, partitions, against } = flags;
  const named = Object.entries({ minutes, seed, rate, faults, consumers, partitions })
    .map(([name, value]) => `--${name} ${value}`);
  return ["deno task chaos", ...named, ...(against ? ["--against"] : [])].join(" ");
}

function createCommand(): Command {
  return new Command("chaos").exitOverride()
    .description(
      "Runs the pipeline under load, injects random faults, and checks what happened to each record.",
    )
    .option("--minutes <n>", "duration of load and faults (default 5)")
    .option("--seed <n>", "seed of schedule and load (default: a random one, which is printed)")
    .option("--rate <n>", "records per second (default 500)")
    .option("--faults <n>", "number of faults (default 5 per minute)")
    .option("--consumers <n>", "number of consumer processes, all in one group (default 3)")
    .option("--partitions <n>", "partitions of the topic (default 6)")
    .option("--report <file>", "also write the report to this file, in Markdown")
    .option("--plan", "print the schedule and do nothing")
    .option("--against", "use the servers in KAFKA_BOOTSTRAP_SERVERS and DATABASE_URL")
    .addHelpText(
      "after",
      `
Starts its own Kafka and PostgreSQL in a temporary folder. The folder is deleted at the end, unless the run found a
difference.

Faults: processes are killed (kill -9), frozen (SIGSTOP) or shut down. Network links reset all connections, delay bytes,
lose them (half-open), become slow, or close each connection after some bytes. Sessions in a rollup round are terminated,
or the rollup's lock is held. The same seed gives the same schedule and the same records. The exact effect of a fault also
depends on the machine.

Checks: each acknowledged record must be stored, rejected with its reason and exact bytes, or counted as a duplicate.
Minute aggregates and latest readings, plus the changes that wait for the rollup, must equal the rows. The change feed
must have no break. The rollup must not rebuild, because none of these faults can cause a rebuild. The ledger and all
committed records are checked during the run. At the end everything is checked again, also by "reconcile" in a separate
process. The run also reports a difference if the pipeline does not start, or commits nothing for two minutes. The first
difference ends the run.

--against injects faults only into what this command starts: its consumers, their rollup rounds, and their connections
to PostgreSQL (not with TLS or DATABASE_URL_FILE). It disturbs no brokers, servers, other consumers or connections to
Kafka. It creates a topic, and deletes it at the end. The database must hold no readings. The new rows stay in it.

Examples:
  deno task chaos --minutes 5 --seed 7
  deno task chaos --minutes 60 --seed 1 --rate 2800 --report docs/chaos.md
  deno task chaos --seed 7 --minutes 5 --plan
  KAFKA_BOOTSTRAP_SERVERS=broker:9092 DATABASE_URL=postgres://me:secret@db:5432/heartbeat_chaos \\
    deno task chaos --against --minutes 10

Exit codes: 0 no difference, 1 a difference or a server that does not start, 2 wrong flags or settings, 130 interrupted.
Needs Java 17 or later, and Maven for the first run (not with --against).`,
    );
}
