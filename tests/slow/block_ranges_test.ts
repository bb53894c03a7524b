/** Queries of a range of time behind a backlog: found by summaries of the blocks, which the consumer asks for. */
import { ok, strictEqual } from "node:assert";
import { eventually } from "../../lab/eventually.ts";
import { type Intended, judge, reading } from "../support/judge.ts";
import type { Place } from "../../lab/place.ts";
import { onPlace } from "../support/services.ts";

/** `pages_per_range` of the index (migration 0006). */
const RANGE_BLOCKS = 32;
const YESTERDAY = new Date(Date.now() - 86_400_000).toISOString().slice(0, 10);
const PARTITION = `public.heartbeats_d${YESTERDAY.replaceAll("-", "")}`;
const CUSTOMERS = 100;

/** Some 136 readings lie in a block. */
function backlog(seconds: number, from = 0): Intended[] {
  return Array.from({ length: seconds * CUSTOMERS }, (_, index) => {
    const at = new Date(
      Date.parse(`${YESTERDAY}T00:00:00Z`) + (from + Math.floor(index / CUSTOMERS)) * 1_000,
    );
    return reading(`customer-${index % CUSTOMERS}`, at.toISOString(), 70);
  });
}

/** Nobody but the consumer sums up, or gathers statistics. */
async function withoutAutovacuum(place: Place): Promise<void> {
  await place.asSuperuser("alter system set autovacuum = off");
  await place.asSuperuser("select pg_reload_conf()");
}

/** Blocks that are read to find that a day of the partition has no reading. */
async function blocksReadInVain(place: Place): Promise<number> {
  const session = await place.session();
  try {
    await session.query(
      "set enable_seqscan = off; set enable_indexonlyscan = off; set enable_indexscan = off",
    );
    const { rows: [row] } = await session.query(
      `explain (analyze, format json) select from ${PARTITION} where ts < '${YESTERDAY}'`,
    );
    return scan(row["QUERY PLAN"][0].Plan);
  } finally {
    await session.end();
  }
}

interface Plan {
  readonly "Node Type": string;
  readonly "Lossy Heap Blocks"?: number;
  readonly Plans?: readonly Plan[];
}

function scan(plan: Plan): number {
  const blocks = plan["Lossy Heap Blocks"];
  if (plan["Node Type"] === "Bitmap Heap Scan" && blocks !== undefined) return blocks;
  const [below] = plan.Plans ?? [];
  if (below === undefined) throw new Error(`no bitmap scan in ${Deno.inspect(plan, { depth: 9 })}`);
  return scan(below);
}

/** Waits until all is but the range that is being filled. */
async function summedUp(place: Place): Promise<void> {
  let blocks = 0;
  await eventually("the ranges to be summed up", async () => {
    blocks = await blocksReadInVain(place);
    return blocks <= RANGE_BLOCKS;
  }, { seen: () => blocks });
}

async function blocksOf(place: Place): Promise<number> {
  const [row] = await place.sql<{ blocks: number }>(
    `select (pg_relation_size('${PARTITION}') / current_setting('block_size')::int)::int as blocks`,
  );
  return row?.blocks ?? 0;
}

Deno.test(
  "what a backlog fills is summed up while the consumer runs, and its partition gets its first statistics",
  onPlace({}, async (place) => {
    await withoutAutovacuum(place);
    strictEqual(await place.consumer({ args: ["--migrate-only"] }).exitCode(), 0);
    // As when a vacuum of the whole database comes before the day's readings.
    await place.sql(`select public.ensure_heartbeat_partition('public.heartbeats', '${YESTERDAY}')`);
    await place.sql(`vacuum (analyze) ${PARTITION}`);
    const sent = await place.publisher.send(backlog(1_500));
    const consumer = place.consumer();
    await place.caughtUp();
    const blocks = await blocksOf(place);
    ok(blocks > 1_024, `${blocks} blocks`);
    await summedUp(place);
    await eventually("the first statistics", async () => {
      const rows = await place.sql(
        `select from pg_stats where tablename = '${PARTITION.slice("public.".length)}' and attname = 'ts'`,
      );
      return rows.length === 1;
    });
    const more = await place.publisher.send(backlog(500, 1_500));
    await place.caughtUp();
    await summedUp(place);
    ok(await blocksOf(place) > blocks + 8 * RANGE_BLOCKS);
    strictEqual(consumer.events("table.summary_failed").length, 0);
    await judge(place, [...sent, ...more]);
  }),
);

Deno.test(
  "while a vacuum has a partition nobody waits for it, and what it left is summed up afterwards",
  onPlace({}, async (place) => {
    await withoutAutovacuum(place);
    const first = await place.publisher.send(backlog(1));
    const consumer = place.consumer();
    await place.caughtUp();
    const vacuum = await place.session();
    await vacuum.query(`begin; lock table ${PARTITION} in share update exclusive mode`);
    // And somebody rewrites an old partition.
    const rewrite = await place.session();
    const [old] = await place.sql(
      "select public.ensure_heartbeat_partition('public.heartbeats', '2001-02-03') as name",
    );
    await rewrite.query(`begin; lock table only public.${old?.["name"]} in access exclusive mode`);
    const sent = await place.publisher.send(backlog(100, 1));
    await place.caughtUp();
    const waiting = () => place.sql("select from pg_locks where not granted and relation is not null");
    const end = performance.now() + 3_000;
    while (performance.now() < end) {
      strictEqual((await waiting()).length, 0);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    ok(await blocksReadInVain(place) > RANGE_BLOCKS);
    await vacuum.end();
    await summedUp(place);
    strictEqual(consumer.events("table.summary_failed").length, 0);
    await rewrite.end();
    await judge(place, [...first, ...sent]);
  }),
);
