/** What the database holds about the published records. */
import type { Anomaly } from "../_shared/record/heartbeat.ts";
import { type Database, databaseFailure } from "../_shared/postgres.ts";
import type { NextOffsets } from "./arrival.ts";
import type { Publication, ScenarioRecord } from "./publish.ts";
import type { StoredRow } from "./scenario.ts";

export interface FoundReject {
  readonly reason: string;
  readonly detail: string;
  readonly key: Uint8Array | null;
  readonly payload: Uint8Array | null;
  /** Whether retention has emptied key, payload and detail. */
  readonly emptied: boolean;
}

export interface Evidence {
  readonly next: NextOffsets;
  /** By `placeOf`. */
  readonly rejects: ReadonlyMap<string, FoundReject>;
  /** All rows of every customer that a record names. */
  readonly rows: readonly StoredRow[];
}

export function placeOf(partition: number, offset: number): string {
  return `${partition}:${offset}`;
}

/** @throws PipelineError when PostgreSQL is away or refuses */
export async function collectEvidence(
  database: Database,
  publication: Publication,
  next: NextOffsets,
): Promise<Evidence> {
  // Without a ledger there is no schema to ask either.
  if (next.size === 0) return { next, rejects: new Map(), rows: [] };
  try {
    return {
      next,
      rejects: await findRejects(database, publication),
      rows: await findRows(database, customersOf(publication.records.map(({ record }) => record))),
    };
  } catch (error) {
    throw databaseFailure("look the records up", database.target, error);
  }
}

function customersOf(records: readonly ScenarioRecord[]): string[] {
  const named = records.flatMap(({ customer, expected }) => [
    ...customer === undefined ? [] : [customer],
    ...expected.kind === "rejected" ? [] : [expected.row.customerId],
  ]);
  return [...new Set(named)];
}

type RejectRow = {
  kafka_partition: number;
  kafka_offset: string;
  reason: string;
  detail: string;
  key: Uint8Array | null;
  payload: Uint8Array | null;
  emptied: boolean;
};

async function findRejects(database: Database, publication: Publication): Promise<Map<string, FoundReject>> {
  const places = publication.records.filter(({ offset }) => offset !== undefined);
  const rows = await database.query<RejectRow>(
    `select reject.kafka_partition, reject.kafka_offset, reject.reason, reject.detail, reject.key, reject.payload,
            reject.emptied_at is not null as emptied
       from unnest($2::integer[], $3::bigint[]) as place (kafka_partition, kafka_offset)
       join public.ingest_offsets log
         on log.topic_id = $1
        and log.kafka_partition = place.kafka_partition
       join public.heartbeat_rejects reject
         on reject.ledger_id = log.id
        and reject.kafka_offset = place.kafka_offset
        and reject.kafka_partition = place.kafka_partition
      order by log.generation`,
    [publication.topicId, places.map(({ partition }) => partition), places.map(({ offset }) => offset)],
  );
  return new Map(rows.map((row) => [placeOf(row.kafka_partition, Number(row.kafka_offset)), row]));
}

type HeartbeatRow = { customer_id: string; ts: string; heart_rate: number; anomaly: Anomaly | null };

/** Instants come as text: a JavaScript date would lose the microseconds. */
async function findRows(database: Database, customers: readonly string[]): Promise<StoredRow[]> {
  const rows = await database.query<HeartbeatRow>(
    `select customer_id, heart_rate, anomaly,
            to_char(ts at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as ts
       from public.heartbeats
      where customer_id = any($1::text[])`,
    [customers],
  );
  return rows.map(({ customer_id, ts, heart_rate, anomaly }) => {
    return { customerId: customer_id, ts, heartRate: heart_rate, anomaly };
  });
}
