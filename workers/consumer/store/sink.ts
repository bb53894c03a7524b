/**
 * The only place that writes: one transaction for the rows, the rejects, the gaps and the next offset of a batch, or of
 * the batches that share a turn.
 */
import type { LedgerRow } from "../kafka_partition/partition.ts";
import type { RejectReason } from "../../_shared/record/heartbeat.ts";
import type { Database, Row } from "../../_shared/postgres.ts";
import { Gathered, ownTransaction } from "./batch_transaction.ts";
import { FloorMoved, type Instant } from "../day_partitions/floor.ts";
import type { InsertMode, Present } from "./insert_readings.ts";
import type { Readings } from "./readings.ts";
import type { Offset, RawRecord } from "../../_shared/kafka/records.ts";
import type { Turn } from "./shared_turns.ts";
import { requireGeneration } from "../schema/schema_generation.ts";
import type { Slice } from "../kafka_partition/slice.ts";

/** A record that is refused, and why. */
export interface Reject {
  readonly record: RawRecord;
  readonly reason: RejectReason;
  /** Which field and why. */
  readonly detail: string;
}

/** How many offsets of a batch ended where; together they are all of them. */
export interface Counts {
  readonly stored: number;
  readonly duplicates: number;
  readonly rejected: number;
  readonly gaps: number;
}

/** What is known of a batch when all its readings have their place. */
export interface Conclusion {
  readonly slice: Slice;
  readonly counts: Counts;
  readonly readings: Readings;
  /** Rows of the readings that were stored, by customer and time. */
  readonly stored: Int32Array;
  /** The floor by which readings were rejected as too old; undefined when none was. */
  readonly floor: Instant;
}

/** A batch's transaction while it is open. */
export interface BatchTransaction {
  /**
   * Inserts rows of these readings, of which no two have the same key, in the order given.
   *
   * @throws what PostgreSQL refused; nothing is stored then
   */
  insert(readings: Readings, rows: Int32Array, mode: InsertMode): Promise<Present>;
  reject(rejects: readonly Reject[]): Promise<void>;
  /**
   * The last step: adds what was stored to what is derived from it, moves the partition's offset to the end of the slice
   * and adds the counts.
   */
  conclude(conclusion: Conclusion): Promise<void>;
}

export type SinkOutcome<T> =
  | { readonly at: "written"; readonly value: T }
  | { readonly at: "moved"; readonly nextOffset: Offset | undefined }
  /** The floor is another one than the batch was planned with: nothing of it was written. */
  | { readonly at: "floor moved"; readonly floor: Instant };

export interface WriteTerms {
  readonly turn: Turn;
  /** How many it is about. */
  readonly records: number;
  /** In a transaction that is shared with nobody: a failure is then ours. */
  readonly alone: boolean;
}

export interface Sink {
  /**
   * Opens a transaction that owns the partition's offset.
   *
   * @returns what `work` returned, or where the offset stands when it is not at `from`: another owner moved it, or an
   *   earlier COMMIT of ours whose answer was lost, or the database is an older copy of itself; undefined when it has no
   *   such row (any more)
   * @throws PipelineError `schema_too_new` when the schema's generation is not the program's
   */
  write<T>(
    ledger: LedgerRow,
    from: Offset,
    work: (batch: BatchTransaction) => Promise<T>,
    terms: WriteTerms,
  ): Promise<SinkOutcome<T>>;
}

/** A write that waits for the others of its turn. */
export interface WriteRequest {
  readonly ledger: LedgerRow;
  readonly from: Offset;
  readonly records: number;
  readonly work: (batch: BatchTransaction) => Promise<unknown>;
  readonly alone: boolean;
  readonly resolve: (outcome: SinkOutcome<unknown>) => void;
  readonly reject: (error: unknown) => void;
}

export const sink: Sink = {
  write: <T>(
    ledger: LedgerRow,
    from: Offset,
    work: (batch: BatchTransaction) => Promise<T>,
    { turn, records, alone }: WriteTerms,
  ) =>
    new Promise<SinkOutcome<T>>((resolve, reject) =>
      turn.request({
        ledger,
        from,
        records,
        work,
        alone,
        // What it resolves with is what `work` returned.
        resolve: (outcome) => resolve(outcome as SinkOutcome<T>),
        reject,
      })
    ),
};

/** Up to so many records are worth no journey more than one to the server. */
const FEW_RECORDS = 4_000;

/** Writes what the partitions of one turn want: those that may be together in one transaction, the others by turns. */
export async function executeRequests(database: Database, requests: readonly WriteRequest[]): Promise<void> {
  const sharing = requests.filter(({ alone }) => !alone);
  // A long batch by itself gains nothing from being gathered.
  const isGathered = sharing.length > 1 || sharing.every(({ records }) => records <= FEW_RECORDS);
  const together = isGathered ? sharing : [];
  if (together.length > 0) await settle(together, () => writeTogether(database, together));
  for (const request of requests) {
    if (!together.includes(request)) await settle([request], () => writeAlone(database, request));
  }
}

/** Settles each of the requests; all of them are written, or none is. */
async function settle(
  requests: readonly WriteRequest[],
  write: () => Promise<readonly SinkOutcome<unknown>[]>,
): Promise<void> {
  let outcomes: readonly SinkOutcome<unknown>[];
  try {
    outcomes = await write();
  } catch (error) {
    if (error instanceof FloorMoved) {
      for (const { resolve } of requests) resolve({ at: "floor moved", floor: error.floor });
    } else {
      for (const { reject } of requests) reject(error);
    }
    return;
  }
  requests.forEach(({ resolve }, index) => {
    const outcome = outcomes[index];
    if (outcome !== undefined) resolve(outcome);
  });
}

async function writeAlone(database: Database, request: WriteRequest): Promise<SinkOutcome<unknown>[]> {
  return await database.transaction(async (session, rows) => {
    const [moved] = placesElsewhere(rows, [request]);
    if (moved !== undefined) return [moved];
    return [{ at: "written", value: await request.work(ownTransaction(session, request.ledger)) }];
  }, lockedOffsets([request]));
}

/** What each wants is gathered before anything is written, so that it takes one statement where that can be. */
async function writeTogether(
  database: Database,
  requests: readonly WriteRequest[],
): Promise<SinkOutcome<unknown>[]> {
  const gathered = new Gathered();
  const values = await Promise.all(
    requests.map(({ ledger, from, work }) => work(gathered.part(ledger, from))),
  );
  const written = (value: unknown) => ({ at: "written", value }) as const;
  if (await gathered.writeAtOnce(database)) return values.map(written);
  return await database.transaction(async (session, rows) => {
    const places = placesElsewhere(rows, requests);
    await gathered.write(session, requests.filter((_, index) => places[index] === undefined));
    return values.map((value, index) => places[index] ?? written(value));
  }, lockedOffsets(requests));
}

/** The offset rows are locked first: a second owner waits here, reads the moved offset and finds its batch stale. */
function lockedOffsets(requests: readonly WriteRequest[]): string {
  return `select id, topic_id, kafka_partition, generation, next_offset, schema_generation
            from public.ingest_offsets
           where id in (${requests.map(({ ledger }) => ledger.id).join(", ")})
           order by id
             for update`;
}

/**
 * Of each request where the offset stands, when it is not where its batch begins.
 *
 * @throws PipelineError `schema_too_new` when the schema's generation is not the program's
 */
function placesElsewhere(rows: readonly Row[], requests: readonly WriteRequest[]) {
  return requests.map(({ ledger, from }) => {
    const row = rows.find(({ id }) => Number(id) === ledger.id);
    if (row !== undefined) requireGeneration(Number(row.schema_generation));
    const nextOffset = row !== undefined && isOf(row, ledger) ? Number(row.next_offset) : undefined;
    return nextOffset === from ? undefined : { at: "moved" as const, nextOffset };
  });
}

/** A standby that never heard of our row may have given its id to another log. */
function isOf(row: Row, { topicId, partition, generation }: LedgerRow): boolean {
  return row.topic_id === topicId && row.kafka_partition === partition && row.generation === generation;
}
