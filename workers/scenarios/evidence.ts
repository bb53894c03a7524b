/** Reads what the database has about the published records. */
import { sleep } from "../_shared/backoff.ts";
import { type Database, databaseFailure, sqlState } from "../_shared/postgres.ts";
import type { StoredRow } from "./catalogue/scenario.ts";
import type { Publication, PublishOptions } from "./publish.ts";

const POLL_MS = 100;
/** The SQLSTATE while no consumer has created the schema. */
const UNDEFINED_TABLE = "42P01";

/** `next_offset` by partition. */
export type NextOffsets = ReadonlyMap<number, number>;

export interface StoredReject {
  readonly reason: string;
  readonly detail: string;
  readonly key: Uint8Array | null;
  readonly payload: Uint8Array | null;
  /** Whether retention has removed key, payload and detail. */
  readonly emptied: boolean;
}

export interface Evidence {
  readonly next: NextOffsets;
  /** The rejects, by `partition:offset`. */
  readonly rejects: ReadonlyMap<string, StoredReject>;
  /** All rows of each customer that a record names, so that an unexpected row is found. */
  readonly rows: readonly StoredRow[];
}

export function isProcessed(next: NextOffsets, partition: number, offset: number): boolean {
  return (next.get(partition) ?? -1) > offset;
}

/**
 * @returns the next offsets as soon as they are past every record, or at the timeout
 * @throws PipelineError if the database does not answer at the timeout
 */
export async function waitUntilProcessed(
  database: Database,
  { topicId, records }: Publication,
  { signal, timeoutMs }: PublishOptions,
): Promise<NextOffsets> {
  const deadline = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]);
  for (;;) {
    let failure: unknown;
    try {
      const next = await nextOffsets(database, topicId);
      const processed = records.every(({ partition, offset }) =>
        offset === undefined || isProcessed(next, partition, offset)
      );
      if (processed || deadline.aborted) return next;
    } catch (error) {
      failure = error;
    }
    if (deadline.aborted) throw databaseFailure("read the ledger", database.target, failure);
    await sleep(POLL_MS, { signal: deadline });
  }
}

async function nextOffsets(database: Database, topicId: string): Promise<NextOffsets> {
  try {
    const rows = await database.query<{ kafka_partition: number; next_offset: string }>(
      `select distinct on (kafka_partition) kafka_partition, next_offset
         from public.ingest_offsets
        where topic_id = $1
        order by kafka_partition, generation desc`,
      [topicId],
    );
    return new Map(rows.map((row) => [row.kafka_partition, Number(row.next_offset)]));
  } catch (error) {
    if (sqlState(error) === UNDEFINED_TABLE) return new Map();
    throw error;
  }
}

export async function collectEvidence(
  database: Database,
  publication: Publication,
  next: NextOffsets,
): Promise<Evidence> {
  if (next.size === 0) return { next, rejects: new Map(), rows: [] };
  const customers = publication.records.flatMap(({ record: { customer, expected } }) => [
    ...customer === undefined ? [] : [customer],
    ...expected.kind === "rejected" ? [] : [expected.row.customerId],
  ]);
  try {
    return {
      next,
      rejects: await findRejects(database, publication),
      // The instant is read as text, because a JavaScript date would lose the microseconds.
      rows: await database.query<{ -readonly [name in keyof StoredRow]: StoredRow[name] }>(
        `select customer_id as "customerId", heart_rate as "heartRate", anomaly,
                to_char(ts at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as ts
           from public.heartbeats
          where customer_id = any($1::text[])`,
        [[...new Set(customers)]],
      ),
    };
  } catch (error) {
    throw databaseFailure("look up the records", database.target, error);
  }
}

async function findRejects(database: Database, publication: Publication): Promise<Map<string, StoredReject>> {
  const published = publication.records.filter(({ offset }) => offset !== undefined);
  const rows = await database.query<Record<string, unknown> & StoredReject & { position: string }>(
    `select reject.kafka_partition || ':' || reject.kafka_offset as position, reject.reason, reject.detail, reject.key,
            reject.payload, reject.emptied_at is not null as emptied
       from unnest($2::integer[], $3::bigint[]) as published (kafka_partition, kafka_offset)
       join public.ingest_offsets log
         on log.topic_id = $1
        and log.kafka_partition = published.kafka_partition
       join public.heartbeat_rejects reject
         on reject.ledger_id = log.id
        and reject.kafka_offset = published.kafka_offset
        and reject.kafka_partition = published.kafka_partition
      order by log.generation`,
    [publication.topicId, published.map(({ partition }) => partition), published.map(({ offset }) => offset)],
  );
  // If several generations of the ledger have the position, the last row wins: that of the newest generation.
  return new Map(rows.map((row) => [row.position, row]));
}
