/**
 * Folder `chaos`: load, random faults by a seed and a judge of each record, until something differs. It changes nothing of what it
 * judges.
 *
 * The flags of `chaos`, and what --help says of them.
 */
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
  readonly against: boolean;
  /** Only print the schedule. */
  readonly plan: boolean;
  /** File to write the report to. */
  readonly report: string | undefined;
}

/** One every 12 seconds. */
const FAULTS_A_MINUTE = 5;
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

/**
 * @throws UsageError that names every wrong flag
 * @throws CommanderError after --help, or for a flag that does not exist
 */
export function parseChaosFlags(
  args: readonly string[],
  random: () => number = Math.random,
): ChaosFlags {
  const given = createCommand().parse([...args], { from: "user" }).opts<Record<string, string | boolean>>();
  const { against = false, plan = false, ...texts } = given;
  const values = Object.fromEntries(Object.entries(texts).map(([name, value]) => [name, String(value)]));
  const flags = parseSettings("chaos", SHAPE, values, { label: (name) => `--${name}` });
  if (plan && flags.seed === undefined) {
    throw new UsageError("Cannot print a plan: --seed is missing, expected the seed of a schedule");
  }
  return {
    ...flags,
    seed: flags.seed ?? Math.floor(random() * MAX_SEED),
    faults: flags.faults ?? Math.max(1, Math.round(flags.minutes * FAULTS_A_MINUTE)),
    against: against === true,
    plan: plan === true,
  };
}

/** The command that does the same again. */
export function commandOf(flags: ChaosFlags): string {
  const { minutes, seed, rate, faults, consumers, partitions, against } = flags;
  const named = Object.entries({ minutes, seed, rate, faults, consumers, partitions })
    .map(([name, value]) => `--${name} ${value}`);
  return ["deno task chaos", ...named, ...(against ? ["--against"] : [])].join(" ");
}

function createCommand(): Command {
  return new Command("chaos").exitOverride()
    .description(
      "Runs the pipeline under load and random faults, and judges each record; exit code 1 on a difference.",
    )
    .option("--minutes <n>", "how long load and faults go on (default 5)")
    .option("--seed <n>", "of schedule and load (default: a new one, which is printed)")
    .option("--rate <n>", "records per second (default 500)")
    .option("--faults <n>", "how many faults (default 5 a minute)")
    .option("--consumers <n>", "consumer processes of one group (default 3)")
    .option("--partitions <n>", "partitions of the topic (default 6)")
    .option("--report <file>", "also write the report there, in Markdown")
    .option("--plan", "print the schedule and do nothing")
    .option("--against", "use the servers of KAFKA_BOOTSTRAP_SERVERS and DATABASE_URL")
    .addHelpText(
      "after",
      `
A Kafka and a PostgreSQL of its own are started in a temporary folder, which is deleted at the end unless something is
wrong. Processes are killed (kill -9), frozen or stopped in order; links are cut, delayed, silenced, slowed or limited;
rounds of the rollup are terminated or held up.
The same seed gives the same schedule and the same records; what a fault hits also depends on the machine.

Each record that the broker acknowledged must be stored, rejected with its reason and bytes, or counted as a duplicate.
Minutes and latest readings, together with the changes that wait for the rollup, must equal the rows, and those changes
must lead to where the ledger is. The ledger and what is settled are judged all the time, everything at the end, when
the rollup has to have caught up, and by "reconcile" as a process of its own. A rebuild of the rollup is a difference: no
fault gives it a reason. The first difference ends the run.

With --against nothing is disturbed that was not started here: only the consumers that it starts, their rounds of the
rollup and their link to PostgreSQL (no link with TLS or DATABASE_URL_FILE); brokers, servers, other consumers and links
to Kafka are left alone. A pipeline that does not begin, or stands still for two minutes, is a difference. The topic is
a new one, deleted at the end. The database must have no readings yet, or the run is refused; its rows stay.

Examples:
  deno task chaos --minutes 5 --seed 7
  deno task chaos --minutes 60 --seed 1 --rate 2800 --report docs/chaos.md
  deno task chaos --seed 7 --minutes 5 --plan
  KAFKA_BOOTSTRAP_SERVERS=broker:9092 DATABASE_URL=postgres://me:secret@db:5432/heartbeat_chaos \\
    deno task chaos --against --minutes 10

Exit codes: 0 no difference, 1 a difference or a server that does not start, 2 called wrongly, 130 cut short.
Needs Java 17 or later, and Maven the first time, unless --against.`,
    );
}
