import { deepStrictEqual, match, strictEqual } from "node:assert";
import { judgeCaughtUp, judgeChain } from "../../chaos/judge/chain.ts";
import { judgeLatest, judgeMinutes } from "../../chaos/judge/derived.ts";
import type { Query } from "../../chaos/judge/query.ts";
import type { Place } from "../../lab/place.ts";
import { openLedger } from "../../workers/consumer/store/ledger.ts";
import { batchWriter, openPlace, sliceOfValues } from "../support/batch_writer.ts";
import { migrateDatabase } from "../support/days.ts";
import { onPlace } from "../support/services.ts";

type Batch = readonly [partition: number, from: number, customer: string, heartRates: readonly number[]];

// All readings are in one minute. APPLY applies the change rows of the first group. Those of the second group wait.
const BATCHES: readonly (readonly Batch[])[] = [
  [[0, 0, "a", [70, 71, 40]], [1, 0, "b", [72]]],
  [[0, 3, "a", [73, 190]], [0, 5, "a", [74]], [1, 1, "c", [75]]],
];

// This does what a round of the rollup does, because no consumer runs in this test.
const APPLY = `
  insert into public.heartbeats_1m
  select customer_id, minute, readings, heart_rate_sum, heart_rate_min, heart_rate_max, low, high
    from public.heartbeats_1m_pending;
  insert into public.customer_latest
  select customer_id, last_ts, last_heart_rate, last_anomaly from public.heartbeats_1m_pending;
  insert into public.rollup_positions select id, moves, next_offset from public.ingest_offsets;
  delete from public.ingest_changes`;

async function writeAll(place: Place): Promise<void> {
  await using database = openPlace(place);
  const write = batchWriter(database);
  const topicId = crypto.randomUUID();
  const open = (partition: number) => openLedger(database, { topic: "t", topicId, partition }, 0, 0);
  const ledgers = [await open(0), await open(1)];
  for (const batches of BATCHES) {
    for (const [partition, from, customer_id, heartRates] of batches) {
      const values = heartRates.map((heart_rate, index) => {
        const timestamp = `2026-07-14T09:30:${10 + from + index}Z`;
        return JSON.stringify({ customer_id, timestamp, heart_rate });
      });
      const ledger = ledgers[partition];
      if (ledger === undefined) throw new RangeError(`no ledger of partition ${partition}`);
      strictEqual((await write(ledger, sliceOfValues(from, values))).kind, "written");
    }
    if (batches === BATCHES[0]) await place.sql(APPLY);
  }
}

async function judged(query: Query): Promise<string> {
  const { problems } = await judgeChain(query);
  return [...problems, ...await judgeMinutes(query), ...await judgeLatest(query)].join("\n");
}

const OF_A = "ledger_id = (select id from public.ingest_offsets where kafka_partition = 0 and topic = 't')";

const TAMPERED: readonly (readonly [what: string, sql: string, reconcile: RegExp, judge: RegExp])[] = [
  [
    "a wrong sum in a waiting change row",
    `update public.ingest_changes set sums[1] = sums[1] + 1 where move = 3 and ${OF_A}`,
    /"a", minute .*: the rows give 6 readings, heartbeats_1m with pending changes has 6 with other heart rates/,
    /^minutes that differ from the rows: a @ [^,]*$/,
  ],
  [
    "a wrong latest reading in a waiting change row",
    `update public.ingest_changes set last_rates[1] = 99 where move = 3 and ${OF_A}`,
    /"a": the latest row is of .*, customer_latest with pending changes has .* with another heart rate or anomaly/,
    /^latest readings that differ from the rows: a$/,
  ],
  [
    "an array of a change row that is too short",
    `update public.ingest_changes set readings = '{}' where move = 3 and ${OF_A}`,
    /"a", minute .*: the rows give 6 readings, heartbeats_1m with pending changes has 5/,
    /^minutes that differ from the rows: a @ /,
  ],
  [
    "a wrong minute aggregate",
    "update public.heartbeats_1m set readings = readings + 1 where customer_id = 'b'",
    /"b", minute .*: the rows give 1 readings, heartbeats_1m with pending changes has 2/,
    /^minutes that differ from the rows: b @ /,
  ],
  [
    "a missing latest reading",
    "delete from public.customer_latest where customer_id = 'b'",
    /"b": the latest row is of .*, customer_latest with pending changes has none/,
    /^latest readings that differ from the rows: b$/,
  ],
  [
    "a missing change row in the middle",
    `delete from public.ingest_changes where move = 2 and ${OF_A}`,
    /partition 0 of t .*: 1 rows of ingest_changes do not continue the previous one/,
    /partition 0, generation 0: move 3 begins at 5, but move 1 ended at 3/,
  ],
  [
    "a missing change row at the end",
    `delete from public.ingest_changes where move = 3 and ${OF_A}`,
    /the rollup is at 3 and its pending changes end at 5, but the ledger is at 6, moves: 1 missing/,
    /partition 0, generation 0 end with move 2 at 5, but the ledger made 3 moves to 6/,
  ],
  [
    "an offset that was moved back",
    "update public.ingest_offsets set next_offset = next_offset - 1, stored = stored - 1 where kafka_partition = 1",
    /partition 1 of t .*: the rollup is at 1 and its pending changes end at 2, but the ledger is at 1;/,
    /partition 1, generation 0 end with move 2 at 2, but the ledger made 2 moves to 1/,
  ],
  [
    "a position that moved before its change row was applied",
    `update public.rollup_positions set move = 2, next_offset = 5 where ${OF_A}`,
    /"a", minute .*: the rows give 6 readings, heartbeats_1m with pending changes has 4/,
    /^minutes that differ from the rows: a @ [^,]*$/,
  ],
  [
    "a position that was moved back",
    `update public.rollup_positions set move = 0, next_offset = 0 where ${OF_A}`,
    /partition 0 of t .*: 1 rows of ingest_changes do not continue/,
    /move 2 begins at 3, but move 0 ended at 0/,
  ],
  [
    "a change row without a ledger row",
    `update public.ingest_changes set ledger_id = 1000 where move = 3 and ${OF_A}`,
    /rollup_positions and ingest_changes: 1 rows name a ledger row that does not exist/,
    /1 changes or positions belong to no ledger row/,
  ],
  [
    "a wrong minute aggregate at the cursor of a rebuild",
    `update public.rollup set cursor = '2026-07-14T09:30Z';
     update public.heartbeats_1m set low = low + 1 where customer_id = 'b'`,
    /A rebuild .* is running: those from 2026-07-14 09:30:00\+00 on were compared[^]*"b", minute/,
    /^minutes that differ from the rows: b @ /,
  ],
];

// Before the cursor of a rebuild, minute aggregates and latest readings may be wrong, and change rows may be missing.
const REBUILDING: readonly (readonly [cursor: string, says: RegExp, code: number])[] = [
  [
    "infinity",
    /A rebuild .* is running: none were compared\.[^]*\nNOT COMPARED WITH THE ROWS: minute aggregates /,
    1,
  ],
  [
    "2026-07-14T09:31Z",
    /A rebuild .* is running: those from 2026-07-14 09:31:00\+00 on were compared\.[^]*\nACCOUNTED FOR/,
    0,
  ],
];

const TABLES = ["ingest_changes", "rollup_positions", "heartbeats_1m", "customer_latest"];
const KEEP = [...TABLES, "ingest_offsets"].map((name) => `create table kept_${name} as table ${name}`);
const RESTORE = [
  ...TABLES.flatMap((name) => [`delete from ${name}`, `insert into ${name} table kept_${name}`]),
  "update rollup set cursor = null",
  `update ingest_offsets log set next_offset = kept.next_offset, stored = kept.stored
     from kept_ingest_offsets kept where kept.id = log.id`,
];

Deno.test(
  "reconcile and the judge count the change rows that wait for the rollup, and notice every error in them",
  onPlace({}, async (place, t) => {
    const query: Query = (sql, values = []) => place.sql(sql, values);
    await migrateDatabase(place);
    await writeAll(place);
    deepStrictEqual(await judgeCaughtUp(query, 0), ["the rollup has not caught up: 3 changes wait"]);
    deepStrictEqual(await place.sql("select sum(readings)::int from public.heartbeats_1m"), [{ sum: 4 }]);
    strictEqual(await judged(query), "");
    const { code, output } = await place.run("reconcile");
    strictEqual(code, 0, output);
    match(
      output,
      /^Rollup: 4 offsets behind, \d+\.\d s\. Minute aggregates .* were compared, with the pending changes\.$/m,
    );

    await place.sql(KEEP.join(";"));
    for (const [what, sql, inReconcile, inJudge] of TAMPERED) {
      await t.step(`both notice ${what}`, async () => {
        await place.sql(sql);
        const problems = await judged(query);
        const { code, output } = await place.run("reconcile");
        await place.sql(RESTORE.join(";"));
        match(problems, inJudge);
        match(output, inReconcile);
        strictEqual(code, 1, output);
      });
    }
    for (const [cursor, says, exit] of REBUILDING) {
      await t.step(`both compare nothing below the cursor ${cursor} of a rebuild`, async () => {
        await place.sql("update public.rollup set cursor = $1", [cursor]);
        await place.sql("delete from public.customer_latest");
        await place.sql("delete from public.ingest_changes");
        const [problems, caughtUp] = [await judged(query), await judgeCaughtUp(query, 0)];
        const { code, output } = await place.run("reconcile");
        await place.sql(RESTORE.join(";"));
        strictEqual(problems, "");
        match(caughtUp.join(), /^the rollup has not rebuilt all minutes: it is at \S+/);
        match(output, says);
        strictEqual(code, exit, output);
      });
    }
    strictEqual(await judged(query), "");
  }),
);
