/** Compares the tables with the records that were sent. Each record is computed from its index. */
import type { Buffer } from "node:buffer";
import type { Load } from "../load/load.ts";
import { kindOf, LATE_SECONDS, READINGS_PER_SECOND, Records } from "../load/records.ts";
import type { Send } from "../load/sends.ts";
import { judgeChain } from "./chain.ts";
import { judgeLatest, judgeMinutes } from "./derived.ts";
import { judgeEverything, type Judgement } from "./everything.ts";
import { judgeLedger } from "./ledger.ts";
import type { Query } from "./query.ts";
import { type ExpectedReject, judgeRejects, type RejectsPart } from "./rejects.ts";
import { type ExpectedRow, judgeRows, type RowsPart } from "./rows.ts";

export interface JudgeOptions {
  readonly query: Query;
  readonly records: Records;
  readonly load: Pick<Load, "sends" | "attempted">;
}

/** [from, to): indexes of sends, offsets, seconds since the load's first timestamp, or microseconds since the Unix epoch. */
interface Range {
  readonly from: number;
  readonly to: number;
}

/** Seconds of timestamps that one query compares during the run. */
const WINDOW_SECONDS = 60;
/** Seconds of timestamps that one query compares at the end. */
const FINAL_WINDOW_SECONDS = 300;
const WINDOWS_PER_CALL = 4;
const SENDS_PER_QUERY = 400;

export class Judge {
  readonly #options: JudgeOptions;
  #settledSends = 0;
  #judgedSends = 0;
  #judgedSeconds = 0;

  constructor(options: JudgeOptions) {
    this.#options = options;
  }

  /**
   * Compares committed records that no earlier call has compared, a limited number per call.
   *
   * @param next the ledger's next offset by partition, read before this call
   * @throws if the database is unavailable; the next call compares the same records again
   */
  async judgeCommitted(next: readonly number[]): Promise<string[]> {
    const { query, load: { sends } } = this.#options;
    this.#settledSends = sends.settled(next, this.#settledSends);
    const settledRecords = sends.recordsBefore(this.#settledSends);
    const { problems } = await judgeLedger(query, true);
    const chain = await judgeChain(query);
    problems.push(...chain.problems);
    // No fault that chaos injects can cause a rebuild.
    if (chain.cursor !== null) {
      problems.push(`the rollup is rebuilding, and its cursor is at ${chain.cursor}`);
    }
    const since = Math.floor(settledRecords / READINGS_PER_SECOND) - WINDOW_SECONDS;
    problems.push(...await judgeLatest(query, Records.microsOfSecond(since)));
    for (let count = 0; count < WINDOWS_PER_CALL; count++) {
      const window = { from: this.#judgedSeconds, to: this.#judgedSeconds + WINDOW_SECONDS };
      if (window.to * READINGS_PER_SECOND > settledRecords) break;
      problems.push(...await this.#judgeWindow(window, settledRecords));
      this.#judgedSeconds = window.to;
    }
    const to = Math.min(this.#settledSends, this.#judgedSends + SENDS_PER_QUERY);
    if (to > this.#judgedSends) {
      const part = this.#rejects({ from: this.#judgedSends, to }, sends.endsBefore(to));
      problems.push(...(await judgeRejects(query, part)).problems);
      this.#judgedSends = to;
    }
    return problems;
  }

  async #judgeWindow(window: Range, settledRecords: number): Promise<string[]> {
    const { query } = this.#options;
    const late = { from: window.from - LATE_SECONDS, to: window.to - LATE_SECONDS };
    const rows = await judgeRows(query, this.#rows(window, settledRecords));
    const lateRows = await judgeRows(query, this.#rows(late, settledRecords));
    const minutes = await judgeMinutes(query, microsOf(window));
    return [...rows.problems, ...lateRows.problems, ...minutes];
  }

  /** @param ends log end offsets by partition, from Kafka; the ledger must have reached them */
  judgeAll(ends: readonly number[]): Promise<Judgement> {
    const { query, load: { sends } } = this.#options;
    return judgeEverything(query, {
      rows: () => this.#allRows(),
      rejects: () => this.#allRejects(),
      whole: { ends, acknowledged: sends.ends },
    });
  }

  *#allRows(): Generator<RowsPart> {
    const { attempted, sends } = this.#options.load;
    const last = Math.ceil(attempted / READINGS_PER_SECOND);
    // Late readings of the first records lie before the first second.
    for (let from = -LATE_SECONDS; from < last; from += FINAL_WINDOW_SECONDS) {
      const to = Math.min(last, from + FINAL_WINDOW_SECONDS);
      yield this.#rows({ from, to }, sends.acknowledged);
    }
  }

  /** Yields at least one part. The last part has no upper end, so it includes rejects above all sends. */
  *#allRejects(): Generator<RejectsPart> {
    const { sends } = this.#options.load;
    const noEnd = new Array<number>(sends.partitions).fill(Number.MAX_SAFE_INTEGER);
    let to = 0;
    do {
      const from = to;
      to = Math.min(sends.length, from + SENDS_PER_QUERY);
      yield this.#rejects({ from, to }, to === sends.length ? noEnd : sends.endsBefore(to));
    } while (to < sends.length);
  }

  /** @param settled records below this index must be stored; later attempted records may be stored */
  #rows(window: Range, settled: number): RowsPart {
    const { records, load: { attempted } } = this.#options;
    return {
      between: microsOf(window),
      due: this.#dueRows(window, settled),
      at: (customerId, micros) => {
        const index = Records.indexOf(Number(micros));
        if (index === undefined || index >= attempted) return undefined;
        const row = expectedRow(records, index);
        return row.customerId === customerId ? row : undefined;
      },
    };
  }

  *#dueRows({ from, to }: Range, settled: number): Generator<ExpectedRow> {
    for (const [kind, seconds] of [["good", 0], ["late", LATE_SECONDS]] as const) {
      const first = Math.max(0, (from + seconds) * READINGS_PER_SECOND);
      const last = Math.min(settled, (to + seconds) * READINGS_PER_SECOND);
      for (let index = first; index < last; index++) {
        if (kindOf(index) === kind) yield expectedRow(this.#options.records, index);
      }
    }
  }

  /**
   * @param range indexes of sends; the part also covers the offsets between the previous sends and these
   * @param ends the part's exclusive end offset by partition
   */
  #rejects(range: Range, ends: readonly number[]): RejectsPart {
    const { records, load: { sends, attempted } } = this.#options;
    const acknowledged: Range[][] = Array.from({ length: sends.partitions }, () => []);
    for (let send = range.from; send < range.to; send++) {
      offsetsOf(sends.at(send)).forEach((offsets, partition) => acknowledged[partition]?.push(offsets));
    }
    return {
      offsets: sends.endsBefore(range.from)
        .map((from, partition) => ({ from, to: ends[partition] ?? from })),
      due: this.#dueRejects(range),
      again: ({ kafka_partition, kafka_offset, key }) => {
        const offset = Number(kafka_offset);
        const isAcknowledged = acknowledged[kafka_partition]
          ?.some(({ from, to }) => offset >= from && offset < to);
        const index = indexOfKey(key);
        return isAcknowledged || index >= attempted ? undefined : expectedReject(records, index);
      },
    };
  }

  #dueRejects({ from, to }: Range): Map<string, ExpectedReject> {
    const { records, load: { sends } } = this.#options;
    const due = new Map<string, ExpectedReject>();
    for (let send = from; send < to; send++) {
      const { from: first, count, baseOffsets } = sends.at(send);
      const next = [...baseOffsets];
      for (let position = first; position < first + count; position++) {
        const index = Records.indexAt(position);
        const partition = records.partitionOf(index);
        const offset = next[partition] ?? 0;
        next[partition] = offset + 1;
        const reject = expectedReject(records, index);
        if (reject !== undefined) due.set(`${partition}:${offset}`, reject);
      }
    }
    return due;
  }
}

/** @returns the offsets of the send's records by partition, empty ranges included */
function offsetsOf({ baseOffsets, counts }: Send): Range[] {
  return baseOffsets.map((from = 0, partition) => ({ from, to: from + (counts[partition] ?? 0) }));
}

function microsOf({ from, to }: Range): Range {
  return { from: Records.microsOfSecond(from), to: Records.microsOfSecond(to) };
}

function expectedRow(records: Records, index: number): ExpectedRow {
  return { id: `#${index}`, partition: records.partitionOf(index), ...records.readingOf(index) };
}

function expectedReject(records: Records, index: number): ExpectedReject | undefined {
  const kind = kindOf(index);
  if (kind !== "bad" && kind !== "conflict") return undefined;
  const { fate, partition, key, value } = records.record(index);
  return { id: `#${index}`, partition, key, value, reason: "reject" in fate ? fate.reject : "none" };
}

function indexOfKey(key: Buffer | null): number {
  return Number(/^bad-(\d+)$/.exec(key?.toString() ?? "")?.[1] ?? Infinity);
}
