/** A short run of `chaos`, and that its judge notices what it is there for. */
import { deepStrictEqual, match, ok, rejects, strictEqual } from "node:assert";
import { parseChaosFlags } from "../../chaos/command_line.ts";
import { openForeignArena } from "../../chaos/arena/foreign_arena.ts";
import { Judge } from "../../chaos/judge/judge.ts";
import type { Query } from "../../chaos/judge/query.ts";
import { run } from "../../chaos/run.ts";
import { seeded } from "../../chaos/faults/schedule.ts";
import { eventually } from "../../lab/eventually.ts";
import { judge } from "../support/judge.ts";
import type { Place } from "../../lab/place.ts";
import { onPlace } from "../support/services.ts";
import { WorkerProcess } from "../../lab/worker_process.ts";
import { backlog } from "./backlog.ts";
import { publish } from "./known_records.ts";

const PARTITIONS = 6;

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

/** What somebody or something does to the tables, and the words in which the judge tells it. */
const TAMPERED: readonly (readonly [what: string, sql: string, ...told: RegExp[]])[] = [
  [
    "a row is lost",
    "delete from public.heartbeats where ts = (select max(ts) from public.heartbeats)",
    /lost, no row for record \S+.* \(\w+-\d+ @ \d+/,
    /stored, by the ledger: is \d+/,
  ],
  [
    "a row is stored again, a microsecond later",
    `insert into public.heartbeats
     select customer_id, ts + interval '1 microsecond', heart_rate, anomaly
       from public.heartbeats where ts = (select min(ts) from public.heartbeats)`,
    /stored, but never sent as a reading: \w+-\d+ @ \d+/,
  ],
  [
    "a row is stored for another customer too",
    `insert into public.heartbeats
     select 'somebody', ts, heart_rate, anomaly
       from public.heartbeats where ts = (select min(ts) from public.heartbeats)`,
    /stored, but never sent as a reading: somebody @ \d+/,
  ],
  [
    "a row has another value",
    "update public.heartbeats set heart_rate = heart_rate + 1 where ts = (select min(ts) from public.heartbeats)",
    /stored with other values: record \S+/,
  ],
  [
    "a row has another anomaly",
    `update public.heartbeats set anomaly = case when anomaly is null then 'low' end
      where ts = (select min(ts) from public.heartbeats)`,
    /stored with other values: record \S+/,
  ],
  [
    "a row far from all others",
    "insert into public.heartbeats values ('chaos-1', '1999-01-01', 70, null)",
    /rows at instants of no record: 1|never sent as a reading: chaos-1/,
  ],
  [
    "a reject is missing",
    `delete from public.heartbeat_rejects where reason = 'tombstone'
        and kafka_offset = (select min(kafka_offset) from public.heartbeat_rejects where reason = 'tombstone')`,
    /lost, no reject for record .*\d:\d+/,
    /counts \d+ rejects, there are \d+/,
  ],
  [
    "a reject that no record intends",
    `insert into public.heartbeat_rejects (ledger_id, topic, kafka_partition, kafka_offset, reason, detail)
     select id, topic, kafka_partition, next_offset, 'tombstone', 'value' from public.ingest_offsets limit 1`,
    /rejected, but not intended to be: \d:\d+ \(tombstone\)/,
  ],
  [
    "a reject has lost a byte",
    "update public.heartbeat_rejects set payload = substr(payload, 2) where reason = 'invalid_json'",
    /rejected otherwise than intended: \d:\d+ \(.*payload 0x/,
  ],
  [
    "a reject has another key",
    "update public.heartbeat_rejects set key = 'another' where reason = 'invalid_json'",
    /rejected otherwise than intended: \d:\d+ \(.*key 0x/,
  ],
  [
    "a reject has another reason",
    "update public.heartbeat_rejects set reason = 'too_old' where reason = 'tombstone'",
    /reason too_old, expected tombstone/,
  ],
  [
    "the ledger does not add up",
    `alter table public.ingest_offsets drop constraint ingest_offsets_accounted;
     update public.ingest_offsets set next_offset = next_offset + 1`,
    /the ledger of partition \d does not add up/,
  ],
  [
    "a gap is counted that is not there",
    "update public.ingest_offsets set gaps = gaps + 1, stored = stored - 1",
    /the ledger of partition \d counts 1 gaps, there are 0/,
    /stored, by the ledger: is \d+/,
  ],
  [
    "a duplicate is counted that never was",
    `update public.ingest_offsets set duplicates = duplicates + 1, next_offset = next_offset + 1
      where kafka_partition = 0`,
    // Only a test remembers how many there are; of a load every offset is known.
    /duplicates, by the ledger: is \d+|next offset of partition 0: is \d+/,
  ],
  [
    "a minute is wrong",
    `update public.heartbeats_1m set heart_rate_sum = heart_rate_sum + 1
      where minute = (select max(minute) from public.heartbeats_1m)`,
    /minutes that differ from the rows: \w+-\d+ @ /,
  ],
  [
    "a latest reading is an older one",
    `update public.customer_latest set ts = ts - interval '1 second'
      where customer_id = (select min(customer_id) from public.customer_latest)`,
    /latest readings that differ from the rows: \w+-\d+/,
  ],
];

type Judging = (place: Place) => Promise<(query: Query) => Promise<readonly string[]>>;

const JUDGES: readonly (readonly [of: string, judging: Judging])[] = [
  ["a load that is a function of its index", async (place) => {
    const published = await publish(place, 20_000, { partitions: PARTITIONS });
    await place.consumeAll();
    const ends = await place.ends();
    return async (query) => {
      const chaos = new Judge({ query, ...published });
      return [...await chaos.look(ends), ...(await chaos.everything(ends)).problems];
    };
  }],
  ["records that a test remembers", async (place) => {
    const sent = await place.publisher.send(backlog(0, 4_000, PARTITIONS));
    await place.consumeAll();
    return (sql) => judge({ sql }, sent).then(() => [], (error) => [error.message]);
  }],
];

for (const [of, judging] of JUDGES) {
  Deno.test(
    `the judge of ${of} finds nothing in what is well, and each thing that was done to the tables`,
    onPlace({ partitions: PARTITIONS }, async (place, t) => {
      const problems = await judging(place);
      const session = await place.session();
      const query: Query = async (sql, values = []) => (await session.query(sql, [...values])).rows;
      try {
        deepStrictEqual(await problems(query), []);
        for (const [what, sql, ...told] of TAMPERED) {
          await t.step(what, async () => {
            await session.query("begin");
            await using _ = { [Symbol.asyncDispose]: async () => void await session.query("rollback") };
            const { rowCount } = [await session.query(sql)].flat().at(-1) ?? {};
            ok((rowCount ?? 0) > 0, "nothing was tampered with");
            const found = (await problems(query)).join("\n");
            for (const words of told) match(found, words);
          });
        }
      } finally {
        await session.end();
      }
    }),
  );
}
