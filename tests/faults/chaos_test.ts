import { deepStrictEqual, match, ok, rejects, strictEqual } from "node:assert";
import { parseChaosFlags } from "../../chaos/command_line.ts";
import { openForeignArena } from "../../chaos/arena/foreign_arena.ts";
import { run } from "../../chaos/run.ts";
import { seeded } from "../../chaos/faults/schedule.ts";
import { eventually } from "../../lab/eventually.ts";
import type { Place } from "../../lab/place.ts";
import { onPlace } from "../support/services.ts";
import { WorkerProcess } from "../../lab/worker_process.ts";

function serversOf({ stack, databaseUrl }: Place): Record<string, string> {
  return { KAFKA_BOOTSTRAP_SERVERS: stack.kafkaBootstrapServers, DATABASE_URL: databaseUrl };
}

/** A busy machine needs long to start killed servers, and chaos reports a standstill only after two minutes. */
const PATIENCE = { withinMs: 480_000 };

/** Stops chaos also when the test fails, so that chaos can stop its servers. */
async function withChaos(
  args: string,
  env: Readonly<Record<string, string>>,
  body: (chaos: WorkerProcess) => Promise<void>,
): Promise<void> {
  const java = Deno.env.get("JAVA_HOME");
  const all = { ...env, ...(java === undefined ? {} : { JAVA_HOME: java }) };
  await using chaos = WorkerProcess.start("chaos", { args: args.split(" "), env: all });
  try {
    await body(chaos);
  } finally {
    await chaos.stop();
  }
}

function logFolder(chaos: WorkerProcess): string {
  const [, folder = ""] = /logs in (\S+)/.exec(chaos.output) ?? [];
  return folder;
}

/** Chaos keeps its logs after a difference. */
async function removeLogs(chaos: WorkerProcess): Promise<void> {
  await Deno.remove(logFolder(chaos), { recursive: true });
}

// The schedule of this seed ends connections in the middle of transactions, makes others half-open, kills the database and a
// consumer, and freezes or stops three servers.
Deno.test("chaos with 15 faults in half a minute finds no difference, and prints the start and the end of each fault", async () => {
  await withChaos("--seed 4246 --minutes 0.5 --faults 15 --rate 500", {}, async (chaos) => {
    const code = await chaos.exitCode(PATIENCE);
    strictEqual(code, 0, chaos.tail(200));
    match(chaos.output, /reported differences \| 0 \|/);
    const [started, ended] = [/^begins +#/gm, /^ended +#/gm].map((line) => chaos.output.match(line)?.length);
    ok((started ?? 0) > 10, `only ${started} faults`);
    strictEqual(ended, started);
  });
});

Deno.test(
  "chaos --against disturbs only what it started, exits with code 1 at a difference, and deletes its topic",
  onPlace({ partitions: 0 }, async (place) => {
    const env = serversOf(place);
    await withChaos("--against --seed 3 --minutes 10 --faults 40 --rate 1000", env, async (chaos) => {
      await eventually("the first rows", async () => {
        return (await place.sql("select from public.heartbeats limit 1").catch(() => [])).length > 0;
      }, { ...PATIENCE, seen: () => chaos.tail() });
      const topics = await place.admin.listTopics();
      const [topic = ""] = topics.filter((name) => name.startsWith("heartbeat-chaos-3-"));
      await place.sql(
        "delete from public.heartbeats where ts = (select min(ts) from public.heartbeats where ts >= $1)",
        ["2026-01-01T00:00:00Z"],
      );
      strictEqual(await chaos.exitCode(PATIENCE), 1, chaos.tail(200));
      match(chaos.output, /lost, no row for record #\d+ \(chaos-\d+ @ \d+, partition \d\)/);
      match(chaos.output, /minutes that differ from the rows: chaos-\d+ @ /);
      ok(!/(broker|database|Kafka) +(kill|freeze|stop|cut|slow)/.test(chaos.output), chaos.output);
      await removeLogs(chaos);
      await eventually(
        "its topic to be deleted",
        async () => !(await place.admin.listTopics()).includes(topic),
      );
    });
    await withChaos("--against --minutes 1", env, async (secondRun) => {
      strictEqual(await secondRun.exitCode(PATIENCE), 2, secondRun.tail());
      match(secondRun.output, /holds readings or a ledger already, expected an empty one/);
    });
  }),
);

Deno.test(
  "chaos reports a difference if the pipeline cannot start",
  onPlace({ partitions: 0 }, async (place) => {
    // This role may only log in, so no consumer can create the tables.
    await place.asSuperuser(
      "drop role if exists without_rights; create role without_rights login password 'without-rights-1'",
    );
    const url = new URL(place.databaseUrl);
    url.username = "without_rights";
    url.password = "without-rights-1";
    const env = { ...serversOf(place), DATABASE_URL: url.href };
    const flags = {
      ...parseChaosFlags(["--against", "--seed", "1", "--consumers", "1", "--partitions", "1"]),
      faults: 0,
    };
    const random = seeded(flags.seed);
    const arena = await openForeignArena({ ...flags, random, env, readFile: Deno.readTextFileSync });
    const deadline = new AbortController();
    const timer = setTimeout(() => deadline.abort(), 120_000);
    try {
      const outcome = await run({
        flags,
        arena,
        faults: [],
        onProgress: () => {},
        signal: deadline.signal,
        standstillMs: 8_000,
      });
      strictEqual(outcome?.problems.length, 1);
      match(
        outcome.problems[0] ?? "",
        /^the pipeline did not start: the consumers committed nothing for 8 s, their next offsets are 0 of \d+$/,
      );
      strictEqual(outcome.judgement, undefined);
    } finally {
      clearTimeout(timer);
      await arena.close({ keep: false });
    }
  }),
);

Deno.test(
  "chaos counts a rebuild of the rollup as a difference",
  onPlace({ partitions: 0 }, async (place) => {
    const args = "--against --seed 2 --minutes 10 --faults 0 --consumers 1 --partitions 1 --rate 100";
    await withChaos(args, serversOf(place), async (chaos) => {
      await eventually("the pipeline to run", () => /The schedule of faults begins now/.test(chaos.output), {
        ...PATIENCE,
        seen: () => chaos.tail(),
      });
      // The rollup's position is now ahead of the ledger, so the next round begins a rebuild.
      await place.sql(
        `insert into public.rollup_positions (ledger_id, move, next_offset)
         select id, moves + 1000, next_offset from public.ingest_offsets
             on conflict (ledger_id) do update set move = excluded.move`,
      );
      strictEqual(await chaos.exitCode(PATIENCE), 1, chaos.tail(200));
      match(
        chaos.output,
        /the rollup began to rebuild, according to consumer 1: .*the rollup is ahead of it/,
      );
      await removeLogs(chaos);
    });
  }),
);

Deno.test(
  "after an interrupt during a fault, chaos exits with code 130, and removes its logs and its topic",
  onPlace({ partitions: 0 }, async (place) => {
    const env = serversOf(place);
    await withChaos("--against --seed 8 --minutes 10 --faults 50 --rate 300", env, async (chaos) => {
      await eventually("a fault", () => /^begins /m.test(chaos.output), {
        ...PATIENCE,
        seen: () => chaos.tail(),
      });
      const folder = logFolder(chaos);
      ok((await Deno.stat(folder)).isDirectory);
      chaos.kill("SIGINT");
      strictEqual(await chaos.exitCode(), 130, chaos.tail());
      match(chaos.output, /Stopped before everything was judged\. No difference was found so far/);
      await rejects(Deno.stat(folder), Deno.errors.NotFound);
      deepStrictEqual(
        (await place.admin.listTopics()).filter((name) => name.startsWith("heartbeat-chaos-8")),
        [],
      );
    });
  }),
);
