import { Buffer } from "node:buffer";
import { type Database, openDatabase, sessionLimits } from "../../workers/_shared/postgres.ts";
import type { LedgerRow } from "../../workers/consumer/kafka_partition/partition.ts";
import type { Gap, Slice } from "../../workers/consumer/kafka_partition/slice.ts";
import type { BatchOutcome } from "../../workers/consumer/store/batch.ts";
import { createPlanner } from "../../workers/consumer/store/plan_batch.ts";
import { createStore } from "../../workers/consumer/store/store.ts";
import { transactionsOf } from "../../workers/consumer/store/transactions.ts";
import { batchOf } from "./batch.ts";
import type { Place } from "../../lab/place.ts";
import { recordsOf } from "./record_batch.ts";
import { LIMITS } from "./wire_record.ts";

export function openPlace(place: Place): Database {
  return openDatabase(place.databaseUrl, { connections: 1, limits: sessionLimits(30_000), name: "test" });
}

/** A slice of records with these values, followed by these gaps. */
export function sliceOfValues(from: number, values: readonly string[], gaps: readonly Gap[] = []): Slice {
  const next = gaps.at(-1)?.to ?? from + values.length;
  const records = values.map((value, index) => {
    return { offset: from + index, timestampMs: 0, key: null, value: Buffer.from(value) };
  });
  return { from, next, records: recordsOf(records), gaps, leaderEpoch: 0, bytes: 0, ownTables: [] };
}

/** Writes batches as the consumer does, without Kafka. Batches that wait at the same time share a transaction. */
export function batchWriter(database: Database, onFailure: (error: unknown) => void = () => {}) {
  const store = createStore(transactionsOf(database), 1);
  const ports = {
    plan: createPlanner(LIMITS, () => Date.now()),
    prepare: () => Promise.resolve(),
    onFloorMoved: () => {},
    onAttempt: () => {},
    onAttemptEnd: () => {},
    onFailure,
  };
  return (ledger: LedgerRow, slice: Slice): Promise<BatchOutcome> =>
    store.writer(ports)(ledger, batchOf(slice), AbortSignal.timeout(30_000));
}
