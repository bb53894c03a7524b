/** Fills an empty schema with readings of 1,000 customers, one every five seconds, by COPY; then derives the rest. */
import { Buffer } from "node:buffer";
import type { Database } from "../../workers/_shared/postgres.ts";
import { copyInto } from "../../workers/consumer/store/copy.ts";

export const CUSTOMERS = 1_000;
const INTERVAL_SECONDS = 5;
const ROWS_A_COPY = 100_000;
const DAY_MS = 86_400_000;

/**
 * @param end the instant of the newest readings, milliseconds since the Unix epoch
 * @param onProgress told the rows that are there
 */
export async function fillTable(
  database: Database,
  rows: number,
  end: number,
  onProgress: (rows: number) => void,
): Promise<void> {
  const rounds = Math.ceil(rows / CUSTOMERS);
  const start = end - (rounds - 1) * INTERVAL_SECONDS * 1000;
  for (let day = start; day <= end + DAY_MS; day += DAY_MS) {
    const at = new Date(day).toISOString();
    await database.query("select public.ensure_heartbeat_partition('public.heartbeats', $1::timestamptz)", [
      at,
    ]);
  }
  const roundsACopy = ROWS_A_COPY / CUSTOMERS;
  for (let round = 0; round < rounds; round += roundsACopy) {
    const to = Math.min(rounds, round + roundsACopy);
    await database.transaction(async (session) => {
      const each = to - round;
      await copyInto(session, "public.heartbeats (customer_id, ts, heart_rate, anomaly)", {
        fields: 4,
        count: each * CUSTOMERS,
        // Sorted by customer, as the consumer writes a batch.
        add: (row, index) => {
          const customer = Math.floor(index / each);
          const one = round + index % each;
          const heartRate = heartRateOf(customer, one);
          row.text(nameOf(customer));
          const ms = start + one * INTERVAL_SECONDS * 1000 + customer;
          row.timestamptz(Math.floor(ms / 1000), (ms % 1000) * 1000);
          row.int16(heartRate);
          if (heartRate >= 45 && heartRate <= 180) row.null();
          else row.text(heartRate < 45 ? "low" : "high");
        },
      });
    });
    onProgress(to * CUSTOMERS);
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
    [new Date(end - 60_000).toISOString()],
  );
  await fillLedger(database, rounds * CUSTOMERS, end);
  await database.query("vacuum (analyze)");
}

export function nameOf(customer: number): string {
  return `customer-${String(customer).padStart(4, "0")}`;
}

/** A rate that wanders between rest and effort, now and then beyond the thresholds; the same at every run. */
export function heartRateOf(customer: number, round: number): number {
  const wave = Math.sin((round + customer * 37) / 400) * 40 + Math.sin((round * 7 + customer) / 31) * 6;
  const rare = (round * 2_654_435_761 + customer * 40_503) % 1_000;
  return Math.round(rare === 0 ? 190 : rare === 1 ? 40 : 95 + wave);
}

/** A ledger that goes with it, and rejects as of one record in a thousand. */
async function fillLedger(database: Database, stored: number, end: number): Promise<void> {
  const rejected = Math.floor(stored / 1_000);
  const at = new Date(end).toISOString();
  const [ledger] = await database.query<{ id: string }>(
    `insert into public.ingest_offsets
            (topic, topic_id, kafka_partition, first_offset, next_offset, stored, rejected, log_end_offset,
             last_event_ts, last_record_at, last_batch_at)
     values ('heartbeats', gen_random_uuid(), 0, 0, $1::bigint + $2, $1, $2, $1::bigint + $2, $3, $3, $3)
  returning id`,
    [stored, rejected, at],
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
