/** A short run of `chaos`, and that its judge notices what it is there for. */
import { deepStrictEqual, match, ok, rejects, strictEqual } from "node:assert";
import { parseChaosFlags } from "../../chaos/command_line.ts";
import { openForeignArena } from "../../chaos/arena/foreign_arena.ts";
import { Judge } from "../../chaos/judge/judge.ts";
import { run } from "../../chaos/run.ts";
import { seeded } from "../../chaos/faults/schedule.ts";
import { eventually } from "../support/eventually.ts";
import { onPlace } from "../support/services.ts";
import { WorkerProcess } from "../support/worker_process.ts";
import { publish } from "./known_records.ts";

const PARTITIONS = 6;
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
    const env = {
      KAFKA_BOOTSTRAP_SERVERS: place.stack.kafkaBootstrapServers,
      DATABASE_URL: place.databaseUrl,
    };
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
    const env = { KAFKA_BOOTSTRAP_SERVERS: place.stack.kafkaBootstrapServers, DATABASE_URL: url.href };
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
  "chaos that is interrupted in the middle of a fault ends in order, and takes what it made with it",
  onPlace({ partitions: 0 }, async (place) => {
    const env = {
      KAFKA_BOOTSTRAP_SERVERS: place.stack.kafkaBootstrapServers,
      DATABASE_URL: place.databaseUrl,
    };
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

/** What somebody or something does to the tables, and the words in which the judge tells it. */
const TAMPERED: readonly { what: string; sql: string; told: readonly RegExp[] }[] = [
  {
    what: "a row is lost",
    sql: "delete from public.heartbeats where ts = (select max(ts) from public.heartbeats)",
    told: [/lost, no row for record #\d+ \(chaos-\d+ @ \d+, partition \d\)/, /stored, by the ledger: is \d+/],
  },
  {
    what: "a row is stored again, a microsecond later",
    sql: `insert into public.heartbeats
          select customer_id, ts + interval '1 microsecond', heart_rate, anomaly
            from public.heartbeats where ts = (select min(ts) from public.heartbeats)`,
    told: [/stored, but never sent as a reading: chaos-\d+ @ \d+/],
  },
  {
    what: "a row is stored for another customer too",
    sql: `insert into public.heartbeats
          select 'somebody', ts, heart_rate, anomaly
            from public.heartbeats where ts = (select min(ts) from public.heartbeats)`,
    told: [/stored, but never sent as a reading: somebody @ \d+/],
  },
  {
    what: "a row has another value",
    sql: `update public.heartbeats set heart_rate = heart_rate + 1
           where ts = (select min(ts) from public.heartbeats)`,
    told: [/stored with other values: record #\d+/],
  },
  {
    what: "a row far from all others",
    sql: "insert into public.heartbeats values ('chaos-1', '1999-01-01', 70, null)",
    told: [/rows at instants of no record: 1/],
  },
  {
    what: "a reject is missing",
    sql:
      "delete from public.heartbeat_rejects where reason = 'tombstone' and kafka_offset = (select min(kafka_offset) from public.heartbeat_rejects where reason = 'tombstone')",
    told: [/lost, no reject for record #\d+ \(\d:\d+\)/, /counts \d+ rejects, there are \d+/],
  },
  {
    what: "a reject has lost a byte",
    sql: "update public.heartbeat_rejects set payload = substr(payload, 2) where reason = 'invalid_json'",
    told: [/rejected otherwise than intended: \d:\d+ \(record #\d+: payload 0x/],
  },
  {
    what: "a reject has another reason",
    sql: "update public.heartbeat_rejects set reason = 'too_old' where reason = 'conflicting_duplicate'",
    told: [/reason too_old, expected conflicting_duplicate/],
  },
  {
    what: "a minute is wrong",
    sql: `update public.heartbeats_1m set heart_rate_sum = heart_rate_sum + 1
           where minute = (select max(minute) from public.heartbeats_1m)`,
    told: [/minutes that differ from the rows: chaos-\d+ @ /],
  },
  {
    what: "a latest reading is an older one",
    sql: "update public.customer_latest set ts = ts - interval '1 second' where customer_id = 'chaos-1'",
    told: [/latest readings that differ from the rows: chaos-1/],
  },
];

Deno.test(
  "the judge of chaos finds nothing in what is well, and each thing that was done to the tables",
  onPlace({ partitions: PARTITIONS }, async (place, t) => {
    const { records, load } = await publish(place, 20_000, { partitions: PARTITIONS });
    await place.consumeAll();
    const ends = await place.ends();
    const session = await place.session();
    const query = async <T extends Record<string, unknown>>(sql: string, values: readonly unknown[] = []) =>
      (await session.query<T>(sql, [...values])).rows;
    const judge = new Judge({ query, records, load });
    try {
      const { problems, lost, rows, rejects } = await judge.everything(ends);
      deepStrictEqual(problems, []);
      strictEqual(lost, 0);
      ok(rows > 19_000 && rejects > 200, `${rows} rows, ${rejects} rejects`);
      deepStrictEqual(await judge.look(ends), []);
      for (const { what, sql, told } of TAMPERED) {
        await t.step(what, async () => {
          await session.query("begin");
          const { rowCount } = await session.query(sql);
          ok((rowCount ?? 0) > 0, "nothing was tampered with");
          const found = (await judge.everything(ends)).problems.join("\n");
          await session.query("rollback");
          for (const words of told) match(found, words);
        });
      }
    } finally {
      await session.end();
    }
  }),
);
