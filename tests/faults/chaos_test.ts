/** Short runs of `chaos`: what it disturbs, how it ends, and what is a difference. */
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

/** A machine that has much else to do takes long to start what was killed, and a standstill is told after two minutes. */
const PATIENCE = { withinMs: 480_000 };

/** Started, and ended in order whatever the test says: it has servers of its own. */
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

// The seed was chosen for its harm: connections that end in the middle of transactions, half-open ones, a database and a
// consumer that are killed, three servers that freeze or stop.
Deno.test("15 seeded faults in half a minute: none lost, none twice, and the schedule is told", async () => {
  await withChaos("--seed 4246 --minutes 0.5 --faults 15 --rate 500", {}, async (chaos) => {
    const code = await chaos.exitCode(PATIENCE);
    strictEqual(code, 0, chaos.tail(200));
    match(chaos.output, /differences of any kind \| 0 \|/);
    const [begun, ended] = [/^begins +#/gm, /^ended +#/gm].map((line) => chaos.output.match(line)?.length);
    ok((begun ?? 0) > 10, `${begun} faults`);
    strictEqual(ended, begun);
  });
});

Deno.test(
  "chaos against servers of one's own disturbs what it started, deletes its topic, and ends with 1 at a difference",
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
      // Kept for whoever looks into the difference, which is nobody here.
      const [, folder = ""] = /logs in (\S+)/.exec(chaos.output) ?? [];
      await Deno.remove(folder, { recursive: true });
      await eventually(
        "its topic to be deleted",
        async () => !(await place.admin.listTopics()).includes(topic),
      );
    });
    await withChaos("--against --minutes 1", env, async (again) => {
      strictEqual(await again.exitCode(PATIENCE), 2, again.tail());
      match(again.output, /holds readings or a ledger already, expected an empty one/);
    });
  }),
);

Deno.test(
  "a pipeline that cannot begin ends a run of chaos with a difference, and is not waited for",
  onPlace({ partitions: 0 }, async (place) => {
    // Who may log in and nothing more: no consumer can make its schema.
    await place.asSuperuser(
      "drop role if exists nobody_at_all; create role nobody_at_all login password 'nobody-pass-1'",
    );
    const url = new URL(place.databaseUrl);
    url.username = "nobody_at_all";
    url.password = "nobody-pass-1";
    const env = { ...serversOf(place), DATABASE_URL: url.href };
    const flags = {
      ...parseChaosFlags(["--against", "--seed", "1", "--consumers", "1", "--partitions", "1"]),
      faults: 0,
    };
    const random = seeded(flags.seed);
    const arena = await openForeignArena({ ...flags, random, env, readFile: Deno.readTextFileSync });
    // A run that waits for ever is ended by us.
    const over = new AbortController();
    const patience = setTimeout(() => over.abort(), 120_000);
    try {
      const outcome = await run({
        flags,
        arena,
        faults: [],
        onProgress: () => {},
        signal: over.signal,
        standstillMs: 8_000,
      });
      strictEqual(outcome?.problems.length, 1);
      match(
        outcome.problems[0] ?? "",
        /^not begun: nothing was committed for 8 s, next offsets are 0 of \d+$/,
      );
      strictEqual(outcome.lost, undefined, "nothing is said about the whole");
    } finally {
      clearTimeout(patience);
      await arena.close({ keep: false });
    }
  }),
);

Deno.test(
  "a rebuild of the rollup, which leaves nothing to be seen, ends a run of chaos with a difference",
  onPlace({ partitions: 0 }, async (place) => {
    const args = "--against --seed 2 --minutes 10 --faults 0 --consumers 1 --partitions 1 --rate 100";
    await withChaos(args, serversOf(place), async (chaos) => {
      await eventually("the time to begin", () => /the time begins/.test(chaos.output), {
        ...PATIENCE,
        seen: () => chaos.tail(),
      });
      // As of a ledger that was further: the next round says so, and those after it rebuild.
      await place.sql(
        `insert into public.rollup_positions (ledger_id, move, next_offset)
         select id, moves + 1000, next_offset from public.ingest_offsets
             on conflict (ledger_id) do update set move = excluded.move`,
      );
      strictEqual(await chaos.exitCode(PATIENCE), 1, chaos.tail(200));
      match(chaos.output, /the rollup began to rebuild, says consumer 1: .*the rollup is ahead of it/);
      const [, folder = ""] = /logs in (\S+)/.exec(chaos.output) ?? [];
      await Deno.remove(folder, { recursive: true });
    });
  }),
);

Deno.test(
  "chaos that is interrupted in the middle of a fault ends in order, and takes what it made with it",
  onPlace({ partitions: 0 }, async (place) => {
    const env = serversOf(place);
    await withChaos("--against --seed 8 --minutes 10 --faults 50 --rate 300", env, async (chaos) => {
      await eventually("a fault", () => /^begins /m.test(chaos.output), {
        ...PATIENCE,
        seen: () => chaos.tail(),
      });
      const [, folder = ""] = /logs in (\S+)/.exec(chaos.output) ?? [];
      ok((await Deno.stat(folder)).isDirectory);
      chaos.kill("SIGINT");
      strictEqual(await chaos.exitCode(), 130, chaos.tail());
      match(chaos.output, /Stopped before everything was judged; nothing differed so far/);
      await rejects(Deno.stat(folder), Deno.errors.NotFound);
      deepStrictEqual(
        (await place.admin.listTopics()).filter((name) => name.startsWith("heartbeat-chaos-8")),
        [],
      );
    });
  }),
);
