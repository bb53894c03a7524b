/** public.latest_heartbeats(): the newest readings without an index on their instants. */
import { deepStrictEqual, match, ok } from "node:assert";
import { type Monitored, monitored } from "../support/grafana_database.ts";

/** Readings of 30 customers at whole seconds, so that many share an instant; the first ones are far more frequent. */
const MADE_UP = `
  insert into public.heartbeats (customer_id, ts, heart_rate)
  select 'c-' || customer, timestamptz '2026-07-14T09:30:00Z' + floor(random() * 600 / customer) * interval '1 second', 70
    from generate_series(1, 30) customer
   cross join generate_series(1, 12) reading
      on conflict do nothing`;

const LATEST_OF_ALL = `
  insert into public.customer_latest
  select distinct on (customer_id) customer_id, ts, heart_rate, anomaly
    from public.heartbeats
   order by customer_id, ts desc`;

async function instants(database: Monitored, sql: string): Promise<string[]> {
  const { rows } = await database.reader.query<{ ts: Date }>(sql);
  return rows.map(({ ts }) => ts.toISOString());
}

Deno.test("latest_heartbeats() gives what sorting all rows by ts gives, for any number wanted", async () => {
  await using database = await monitored("latest_heartbeats");
  for (let seed = 1; seed <= 20; seed++) {
    await database.owner.query("truncate public.heartbeats, public.customer_latest");
    await database.owner.query("select setseed($1)", [seed / 100]);
    await database.owner.query(MADE_UP);
    await database.owner.query(LATEST_OF_ALL);
    // Readings of whom retention has left nothing but this.
    await database.owner.query(
      "insert into public.customer_latest select 'gone-' || n, '2025-01-01T00:00:00Z', 70, null from generate_series(1, 5) n",
    );
    for (const wanted of [1, 2, 20, 30, 35, 36, 400]) {
      deepStrictEqual(
        await instants(database, `select ts from public.latest_heartbeats(${wanted})`),
        await instants(database, `select ts from public.heartbeats order by ts desc limit ${wanted}`),
        `seed ${seed}, ${wanted} wanted`,
      );
    }
  }
});

Deno.test("latest_heartbeats() of nothing is nothing, and it finds rows by the primary key", async () => {
  await using database = await monitored("latest_heartbeats_plan");
  deepStrictEqual(await instants(database, "select ts from public.latest_heartbeats()"), []);
  await database.owner.query(MADE_UP);
  await database.owner.query(LATEST_OF_ALL);
  await database.owner.query("set enable_seqscan = off");
  const { rows } = await database.owner.query<Record<"QUERY PLAN", string>>(
    "explain select * from public.latest_heartbeats()",
  );
  const plan = rows.map((row) => row["QUERY PLAN"]).join("\n");
  match(plan, /Index Scan Backward using heartbeats_default_pkey/);
  ok(!/Seq Scan on heartbeats/.test(plan), plan);
});
