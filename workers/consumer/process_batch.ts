/**
 * The algorithm: a stretch of one partition's log becomes rows, rejects, duplicates and gaps, each offset in exactly one
 * place. Knows neither Kafka nor PostgreSQL; a broken dependency is waited for, a bad record is set apart.
 */
import { backoffMs, sleep } from "../_shared/backoff.ts";
import { describeError } from "../_shared/errors.ts";
import type { Reading } from "../_shared/heartbeat.ts";
import type { Decoded } from "./decode.ts";
import type { LedgerRow } from "./ledger.ts";
import type { BatchTransaction, Counts, Reject, Sink } from "./sink.ts";
import type { Offset, RawRecord, Slice } from "./slice.ts";

/** A reading that is the first of its key in the batch, and what else came with that key. */
interface Candidate {
  readonly record: RawRecord;
  readonly reading: Reading;
  readonly repeats: readonly { readonly record: RawRecord; readonly reading: Reading }[];
}

/** A stored reading with the record that brought it. */
export interface StoredReading {
  readonly record: RawRecord;
  readonly reading: Reading;
}

export interface WrittenBatch {
  readonly counts: Counts;
  readonly stored: readonly StoredReading[];
  readonly rejects: readonly Reject[];
}

export type BatchOutcome =
  | { readonly kind: "written"; readonly batch: WrittenBatch }
  /** Another owner moved the partition's offset: nothing of this batch was written by us. */
  | { readonly kind: "stale"; readonly nextOffset: Offset }
  /** The caller gave up waiting; nothing was written, or it was and the answer is lost: the ledger knows. */
  | { readonly kind: "abandoned" };

export interface BatchPorts {
  readonly decode: (value: Uint8Array | null) => Decoded;
  readonly sink: Sink;
  /** Whether an error is about the values themselves, so that waiting cannot cure it. */
  readonly isDataError: (error: unknown) => boolean;
  /** Runs an attempt when it is our turn to write. */
  readonly takeTurn: <T>(attempt: () => Promise<T>) => Promise<T>;
  /** Prepares the table for readings of these instants; outside the transaction, since it may take locks. */
  readonly prepare: (readings: Iterable<Reading>) => Promise<void>;
  /** It is our turn to write: from now on something happens, or something hangs. */
  readonly onAttempt: () => void;
  readonly onAttemptEnd: () => void;
  readonly onFailure: (error: unknown, attempt: number) => void;
}

export type ProcessBatch = (ledger: LedgerRow, slice: Slice, signal: AbortSignal) => Promise<BatchOutcome>;

/** @returns a processor for one partition; it remembers whether this partition's records tend to be repeats */
export function createBatchProcessor(ports: BatchPorts): ProcessBatch {
  // COPY cannot skip what is already there. While repeats keep coming, trying it first would be work done twice.
  let mode: "copy" | "merge" = "copy";

  return async (ledger, slice, signal) => {
    let plan: Plan | undefined;
    let attempted: WrittenBatch | undefined;
    for (let attempt = 1;; attempt++) {
      try {
        const outcome = await ports.takeTurn(async () => {
          // Given up while others had their turns: a stop need not wait for all of them.
          if (signal.aborted) return undefined;
          ports.onAttempt();
          // Decoded only now, when it is our turn to write: decoded records take several times their bytes.
          const planned = plan ??= planBatch(slice.records, ports.decode);
          await ports.prepare(planned.candidates.map(({ reading }) => reading));
          return await ports.sink.write(ledger, slice.from, async (transaction) => {
            attempted = undefined;
            const written = await writePlan(transaction, planned, slice, mode, ports.isDataError);
            mode = written.repeatsInTable ? "merge" : "copy";
            attempted = written.batch;
            return written.batch;
          });
        });
        if (outcome === undefined) return { kind: "abandoned" };
        if (outcome.at === "written") return { kind: "written", batch: outcome.value };
        // The answer to an earlier COMMIT of ours was lost, and it did commit.
        if (attempted !== undefined && outcome.nextOffset === slice.next) {
          return { kind: "written", batch: attempted };
        }
        return { kind: "stale", nextOffset: outcome.nextOffset };
      } catch (error) {
        ports.onFailure(error, attempt);
        await sleep(backoffMs(attempt), { signal });
        if (signal.aborted) return { kind: "abandoned" };
      } finally {
        ports.onAttemptEnd();
      }
    }
  };
}

interface Plan {
  readonly candidates: readonly Candidate[];
  readonly rejects: readonly Reject[];
}

/** Decodes the records, puts repeats of a key behind the first of it, and orders the keys. */
function planBatch(records: readonly RawRecord[], decode: BatchPorts["decode"]): Plan {
  const rejects: Reject[] = [];
  const byKey = new Map<string, { record: RawRecord; reading: Reading; repeats: StoredReading[] }>();
  for (const record of records) {
    const decoded = decode(record.value);
    if (decoded.kind === "reject") {
      rejects.push({ record, reason: decoded.reason, detail: decoded.detail });
      continue;
    }
    const { reading } = decoded;
    // An instant has no space in it, so the key is unambiguous whatever the customer is called.
    const key = `${reading.ts} ${reading.customerId}`;
    const first = byKey.get(key);
    if (first === undefined) byKey.set(key, { record, reading, repeats: [] });
    else first.repeats.push({ record, reading });
  }
  return { candidates: [...byKey.values()].sort(byCustomerAndTime), rejects };
}

/**
 * One order for all writers, so that two which insert the same keys wait for each other and never in a circle; and
 * neighbours in the index are written together.
 */
function byCustomerAndTime({ reading: a }: Candidate, { reading: b }: Candidate): number {
  if (a.customerId !== b.customerId) return a.customerId < b.customerId ? -1 : 1;
  return a.ts < b.ts ? -1 : a.ts > b.ts ? 1 : 0;
}

async function writePlan(
  transaction: BatchTransaction,
  plan: Plan,
  slice: Slice,
  mode: "copy" | "merge",
  isDataError: BatchPorts["isDataError"],
): Promise<{ batch: WrittenBatch; repeatsInTable: boolean }> {
  const tally = new Tally(plan.rejects);
  await place(transaction, plan.candidates, mode, isDataError, tally);
  await transaction.rollUp(tally.stored.map(({ reading }) => reading));
  await transaction.reject(tally.rejects);
  const counts = {
    stored: tally.stored.length,
    duplicates: tally.duplicates,
    rejected: tally.rejects.length,
    gaps: slice.gaps.reduce((sum, { from, to }) => sum + to - from, 0),
  };
  await transaction.advance(slice, counts, latestInstant(tally.stored));
  const { stored, rejects } = tally;
  return { batch: { counts, stored, rejects }, repeatsInTable: tally.repeatsInTable };
}

function latestInstant(stored: readonly StoredReading[]): bigint | undefined {
  return stored.reduce<bigint | undefined>((latest, { reading: { ts } }) => {
    return latest === undefined || ts > latest ? ts : latest;
  }, undefined);
}

/** Where each record ended, counted from its own fact. */
class Tally {
  readonly stored: StoredReading[] = [];
  readonly rejects: Reject[];
  duplicates = 0;
  repeatsInTable = false;

  constructor(rejects: readonly Reject[]) {
    this.rejects = [...rejects];
  }

  /** @param present the heart rate the table had before for this key, undefined when ours was stored */
  settle({ record, reading, repeats }: Candidate, present: number | undefined): void {
    if (present === undefined) this.stored.push({ record, reading });
    else {
      this.repeatsInTable = true;
      this.#repeat({ record, reading }, present);
    }
    for (const repeat of repeats) this.#repeat(repeat, present ?? reading.heartRate);
  }

  #repeat({ record, reading }: StoredReading, kept: number): void {
    if (reading.heartRate === kept) {
      this.duplicates++;
      return;
    }
    const detail =
      `heart_rate: is ${reading.heartRate}, expected ${kept} as stored before for this customer and instant`;
    this.rejects.push({ record, reason: "conflicting_duplicate", detail });
  }
}

/**
 * Inserts the candidates. What PostgreSQL refuses is halved until the culprit stands alone: of n readings with one bad
 * one, about 2 log2 n inserts find it, and all others are stored.
 */
async function place(
  transaction: BatchTransaction,
  candidates: readonly Candidate[],
  mode: "copy" | "merge",
  isDataError: BatchPorts["isDataError"],
  tally: Tally,
): Promise<void> {
  if (candidates.length === 0) return;
  const readings = candidates.map(({ reading }) => reading);
  let present: readonly (number | undefined)[] | undefined;
  try {
    present = await transaction.insert(readings, mode) ?? await transaction.insert(readings, "merge");
  } catch (error) {
    if (!isDataError(error)) throw error;
    const [only, ...others] = candidates;
    if (only !== undefined && others.length === 0) {
      return await setApart(transaction, only, error, isDataError, tally);
    }
    const middle = candidates.length >> 1;
    await place(transaction, candidates.slice(0, middle), mode, isDataError, tally);
    await place(transaction, candidates.slice(middle), mode, isDataError, tally);
    return;
  }
  if (present === undefined) throw new TypeError("a merge must say what was present");
  candidates.forEach((candidate, index) => tally.settle(candidate, present[index]));
}

/** Rejects one that PostgreSQL refused; its key is still free, so the next record that has it gets its chance. */
async function setApart(
  transaction: BatchTransaction,
  { record, repeats }: Candidate,
  error: unknown,
  isDataError: BatchPorts["isDataError"],
  tally: Tally,
): Promise<void> {
  tally.rejects.push({
    record,
    reason: "database_rejected",
    detail: `PostgreSQL refused it: ${describeError(error)}`,
  });
  const [next, ...rest] = repeats;
  if (next !== undefined) await place(transaction, [{ ...next, repeats: rest }], "merge", isDataError, tally);
}
