import { openLink } from "../../stack/network/link.ts";
import { eventually } from "../../lab/eventually.ts";
import type { Place } from "../../lab/place.ts";
import type { Database } from "../../workers/_shared/postgres.ts";
import { formatTable } from "../../workers/_shared/table.ts";
import { assertAllStored, type IngestProgress, readProgress, startConsumer } from "../ingest/consumer.ts";
import { publishLog, withDatabase } from "../ingest/lab.ts";
import { walBytes } from "./variants.ts";
import type { Trial } from "./trial.ts";

const PARTITIONS = 6;
const DEADLINE_MS = 600_000;
const STOP_DEADLINE_MS = 15_000;
const DAY_SECONDS = 86_400;
/** The last two columns are for this many readings per second. */
const RATE = 100_000;

export async function measureStorage(trial: Trial): Promise<string> {
  const { stack, records } = trial;
  const { place, log } = await publishLog(stack, { ...trial, records, partitions: PARTITIONS });
  const kafka = await logBytes(place);
  const took = await withDatabase(stack, async (database, url) => {
    const { hostname, port } = new URL(url);
    await using link = await openLink({ host: hostname, port: Number(port) });
    const wire = { requests: 0, answers: 0 };
    // Both count the bytes and return true, so that the link forwards them.
    link.onRequest = ({ length }) => (wire.requests += length) > 0;
    link.onAnswer = ({ length }) => (wire.answers += length) > 0;
    const walBefore = await walBytes(database);
    const consumer = startConsumer(stack, place.topic, link.through(url));
    try {
      let seen: IngestProgress | undefined;
      await eventually("all to be stored and rolled up", async () => {
        seen = await readProgress(database);
        const done = seen.stored >= log.records && seen.behind === 0;
        return done || !consumer.running || trial.signal.aborted;
      }, { withinMs: DEADLINE_MS, seen: () => seen });
    } finally {
      await consumer.stop(STOP_DEADLINE_MS);
    }
    await assertAllStored(database, log.records);
    const wal = await walBytes(database) - walBefore;
    return { ...wire, wal, tables: await tableBytes(database) };
  });
  const lines: [what: string, bytes: number][] = [
    ["Kafka: the record in the log, one copy, no compression", kafka],
    ["network, from the consumer to PostgreSQL", took.requests],
    ["network, from PostgreSQL to the consumer", took.answers],
    ["write-ahead log", took.wal],
    ...took.tables,
  ];
  const rows = lines.map(([what, bytes]) => {
    const each = bytes / log.records;
    return [
      what,
      each.toFixed(1),
      (each * RATE / 1e6).toFixed(1),
      Math.round(each * RATE * DAY_SECONDS / 1e9).toLocaleString("en"),
    ];
  });
  return `${log.records} readings of 1,000 customers, each customer every 5 s; ` +
    `all were in Kafka before the consumer started\n\n` +
    formatTable([
      { title: "where" },
      { title: "bytes/reading", align: "right" },
      { title: "MB/s at 100,000/s", align: "right" },
      { title: "GB/day at 100,000/s", align: "right" },
    ], rows);
}

async function logBytes(place: Place): Promise<number> {
  const brokers = await place.admin.describeLogDirs({
    topics: [{ name: place.topic, partitions: Array.from({ length: PARTITIONS }, (_, index) => index) }],
  });
  let bytes = 0;
  for (const { results } of brokers) {
    for (const { topics } of results) {
      for (const { partitions } of topics) {
        for (const { partitionSize } of partitions) bytes += Number(partitionSize);
      }
    }
  }
  return bytes;
}

async function tableBytes(database: Database): Promise<[what: string, bytes: number][]> {
  // One line for the rows of all day partitions together, then one for each of their indexes. Then the same for each other table.
  const relations = await database.query<{ what: string; bytes: string }>(
    `with tables as (
       select 'public.heartbeats' as name, 0 as table_number, relid
         from pg_partition_tree('public.heartbeats') where isleaf
       union all
       select name, table_number, name::regclass
         from unnest(array['public.heartbeats_1m', 'public.customer_latest']) with ordinality as other (name, table_number)
     ), sizes as (
       select name, table_number, 0 as line, 'rows' as what, pg_table_size(relid) as bytes from tables
       union all
       select name, table_number, 1, access.amname || ' index on (' || columns.names || ')', pg_relation_size(index.indexrelid)
         from tables
         join pg_index index on index.indrelid = tables.relid
         join pg_class class on class.oid = index.indexrelid
         join pg_am access on access.oid = class.relam
        cross join lateral (
          select string_agg(pg_get_indexdef(index.indexrelid, n, true), ', ' order by n) as names
            from generate_series(1, index.indnkeyatts) n
        ) columns
     )
     select name || ', ' || what as what, sum(bytes) as bytes
       from sizes
      group by name, table_number, line, sizes.what
      order by table_number, line, sizes.what`,
  );
  return relations.map(({ what, bytes }) => [what, Number(bytes)]);
}
