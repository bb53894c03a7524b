/** Waits until the ledger has passed the published records: then each of them ended somewhere. */
import { sleep } from "../_shared/backoff.ts";
import { type Database, databaseFailure, sqlState } from "../_shared/postgres.ts";
import type { Publication } from "./publish.ts";

const POLL_MS = 100;
/** UNDEFINED_TABLE: no consumer was ever here to make the schema. */
const UNDEFINED_TABLE = "42P01";

/** The next offset of each partition that was ever read. */
export type NextOffsets = ReadonlyMap<number, number>;

export interface WaitOptions {
  readonly signal: AbortSignal;
  readonly timeoutMs: number;
}

/**
 * @returns where the ledger stands when it has passed every record, or when time is up
 * @throws PipelineError when the database does not answer when time is up
 */
export async function waitUntilRead(
  database: Database,
  { topicId, records }: Publication,
  { signal, timeoutMs }: WaitOptions,
): Promise<NextOffsets> {
  const inTime = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]);
  for (;;) {
    let failure: unknown;
    try {
      const next = await nextOffsets(database, topicId);
      const passed = records.every(({ partition, offset }) =>
        offset === undefined || isRead(next, partition, offset)
      );
      if (passed || inTime.aborted) return next;
    } catch (error) {
      failure = error;
    }
    if (inTime.aborted) throw databaseFailure("read the ledger", database.target, failure);
    await sleep(POLL_MS, { signal: inTime });
  }
}

export function isRead(next: NextOffsets, partition: number, offset: number): boolean {
  return (next.get(partition) ?? -1) > offset;
}

/** @throws what PostgreSQL or the connection says, except that there is no ledger yet */
export async function nextOffsets(database: Database, topicId: string): Promise<NextOffsets> {
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
