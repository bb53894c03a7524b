import { Buffer } from "node:buffer";
import type { Database } from "../../workers/_shared/postgres.ts";
import { copyInto } from "../../workers/consumer/store/copy.ts";
import { Fleet, heartRateOf, nameOf } from "./fleet.ts";

/** Readings are often kept for this long. */
const DAYS = 30;
const INTERVAL_MS = 5_000;
const ROWS_PER_COPY = 100_000;
const DAY_MS = 86_400_000;
const CYCLES_PER_DAY = DAY_MS / INTERVAL_MS;

export interface Filling {
  readonly rows: number;
  readonly customers: number;
  /** The readings end before this instant, in milliseconds since the Unix epoch. */
  readonly endMs: number;
  readonly onProgress?: (rows: number) => void;
}

/** Fills an empty schema by COPY, then derives what the rollup would have written. */
export async function fillTable(
  database: Database,
  { rows, customers, endMs, onProgress = () => {} }: Filling,
): Promise<void> {
  const fleet = new Fleet(customers, INTERVAL_MS);
  const cycles = Math.ceil(rows / customers);
  const startOf = startsOfCycles(cycles, endMs);
  await makePartitions(database, [startOf(0), endMs + DAY_MS]);
  const cyclesPerCopy = Math.ceil(ROWS_PER_COPY / customers);
  for (let cycle = 0; cycle < cycles; cycle += cyclesPerCopy) {
    const to = Math.min(cycles, cycle + cyclesPerCopy);
    await database.transaction(async (session) => {
      const each = to - cycle;
      await copyInto(session, "public.heartbeats (customer_id, ts, heart_rate, anomaly)", {
        fields: 4,
        count: each * customers,
        // Sorted by customer, as the consumer sorts a batch.
        add: (row, index) => {
          const customer = Math.floor(index / each);
          const readingCycle = cycle + index % each;
          const heartRate = heartRateOf(customer, readingCycle);
          row.text(nameOf(customer));
          const ms = startOf(readingCycle) + fleet.instantOf(customer, 0);
          row.timestamptz(Math.floor(ms / 1000), (ms % 1000) * 1000);
          row.int16(heartRate);
          if (heartRate >= 45 && heartRate <= 180) row.null();
          else row.text(heartRate < 45 ? "low" : "high");
        },
      });
    });
    onProgress(to * customers);
  }
  await database.query(
    `insert into public.heartbeats_1m
     select customer_id, date_trunc('minute', ts, 'UTC'), count(*), sum(heart_rate), min(heart_rate), max(heart_rate),
            count(*) filter (where anomaly = 'low'), count(*) filter (where anomaly = 'high')
       from public.heartbeats
      group by 1, 2
      order by 2, 1`,
  );
  await database.query(
    `insert into public.customer_latest
     select distinct on (customer_id) customer_id, ts, heart_rate, anomaly
       from public.heartbeats
      where ts > $1::timestamptz
      order by customer_id, ts desc`,
    [new Date(endMs - 60_000).toISOString()],
  );
  await fillLedger(database, cycles * customers, endMs);
  await database.query("vacuum (analyze)");
}

export async function makePartitions(
  database: Database,
  [fromMs, endMs]: readonly [number, number],
): Promise<void> {
  for (let day = fromMs; day < endMs + DAY_MS; day += DAY_MS) {
    const at = new Date(Math.min(day, endMs)).toISOString();
    await database.query("select public.ensure_heartbeat_partition('public.heartbeats', $1)", [at]);
  }
}

/**
 * The last day is full, or has half of all cycles if there are too few. The earlier days share the rest, because 30
 * full days of 1,000 customers would be half a billion rows.
 *
 * @returns the start of each cycle
 */
function startsOfCycles(cycles: number, endMs: number): (cycle: number) => number {
  const days = Math.max(DAYS, Math.ceil(cycles / CYCLES_PER_DAY));
  const last = Math.min(CYCLES_PER_DAY, Math.ceil(cycles / 2));
  const each = Math.ceil((cycles - last) / (days - 1));
  return (cycle) => {
    const fromEnd = cycles - 1 - cycle;
    if (fromEnd < last) return endMs - (fromEnd + 1) * INTERVAL_MS;
    const [day, inDay] = [Math.floor((fromEnd - last) / each), (fromEnd - last) % each];
    return endMs - (day + 1) * DAY_MS - (inDay + 1) * INTERVAL_MS;
  };
}

/** A ledger row and a status that fit the readings, and one reject for each thousand records. */
async function fillLedger(database: Database, stored: number, endMs: number): Promise<void> {
  const rejected = Math.floor(stored / 1_000);
  const at = new Date(endMs).toISOString();
  const [ledger] = await database.query<{ id: string }>(
    `with ledger as (
       insert into public.ingest_offsets
              (topic, topic_id, kafka_partition, first_offset, next_offset, stored, rejected, last_event_ts,
               last_record_at, last_batch_at)
       values ('heartbeats', gen_random_uuid(), 0, 0, $1::bigint + $2, $1, $2, $3, $3, $3)
    returning *
     ), status as (
       insert into public.consumer_status
              (consumer, host, pid, version, group_id, topic, topic_id, started_at, partitions, log_end_offsets,
               reasons, limits)
       select 'made by the benchmark', 'nowhere', 0, '', '', topic, topic_id, now(), '{0}', array[next_offset], '{}', '{}'
         from ledger
     )
     select id from ledger`,
    [stored, rejected, at],
  );
  // Without its positions, the rollup would rebuild everything.
  await database.query(
    "insert into public.rollup_positions select id, moves, next_offset from public.ingest_offsets",
  );
  await database.query(
    `insert into public.heartbeat_rejects
            (ledger_id, topic, kafka_partition, kafka_offset, reason, detail, key, payload, rejected_at)
     select $1, 'heartbeats', 0, n, (array['invalid_json', 'heart_rate_out_of_range', 'invalid_timestamp'])[1 + n % 3],
            'made by the benchmark', $2::bytea, $3::bytea, $4::timestamptz - n * interval '5 seconds'
       from generate_series(1, $5::int) n`,
    [ledger?.id, Buffer.from("customer-0001"), Buffer.from("{}"), at, rejected],
  );
}
