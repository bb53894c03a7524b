/** Judges a load whose records are a function of their index: committed records during the run, all of them at its end. */
import type { Buffer } from "node:buffer";
import type { Load } from "../load/load.ts";
import { kindOf, LATE_SECONDS, READINGS_PER_SECOND, Records } from "../load/records.ts";
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

/** [from, to): numbers of sends, or seconds from the first reading's timestamp. */
interface Range {
  readonly from: number;
  readonly to: number;
}

/** Seconds of timestamps that one query compares, during the run and at its end. */
const WINDOW_SECONDS = 60;
const FULL_WINDOW_SECONDS = 300;
const WINDOWS_PER_LOOK = 4;
const SENDS_AT_ONCE = 400;

export class Judge {
  readonly #options: JudgeOptions;
  #settledSends = 0;
  #judgedSends = 0;
  #judgedSeconds = 0;

  constructor(options: JudgeOptions) {
    this.#options = options;
  }

  /**
   * @param next the ledger's next offset by partition, read before this call
   * @throws if the database is away; the next call judges the same part again
   */
  async look(next: readonly number[]): Promise<string[]> {
    const { query, load: { sends } } = this.#options;
    this.#settledSends = sends.settled(next, this.#settledSends);
    const settled = sends.recordsBefore(this.#settledSends);
    const { problems } = await judgeLedger(query, true);
    const chain = await judgeChain(query);
    problems.push(...chain.problems);
    // No fault here is a reason for a rebuild.
    if (chain.cursor !== null) problems.push(`the rollup rebuilds, and is at ${chain.cursor}`);
    const since = Math.floor(settled / READINGS_PER_SECOND) - WINDOW_SECONDS;
    problems.push(...await judgeLatest(query, Records.microsOfSecond(since)));
    for (let turn = 0; turn < WINDOWS_PER_LOOK; turn++) {
      const window = { from: this.#judgedSeconds, to: this.#judgedSeconds + WINDOW_SECONDS };
      if (window.to * READINGS_PER_SECOND > settled) break;
      const late = { from: window.from - LATE_SECONDS, to: window.to - LATE_SECONDS };
      const minutes = await judgeMinutes(query, microsOf(window));
      for (const one of [window, late]) {
        problems.push(...(await judgeRows(query, this.#rows(one, settled))).problems);
      }
      problems.push(...minutes);
      this.#judgedSeconds = window.to;
    }
    const to = Math.min(this.#settledSends, this.#judgedSends + SENDS_AT_ONCE);
    if (to > this.#judgedSends) {
      const part = this.#rejects({ from: this.#judgedSends, to }, sends.endsBefore(to));
      problems.push(...(await judgeRejects(query, part)).problems);
      this.#judgedSends = to;
    }
    return problems;
  }

  /** @param ends log end offsets by partition, from Kafka; the ledger must have reached them */
  everything(ends: readonly number[]): Promise<Judgement> {
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
    for (let from = -LATE_SECONDS; from < last; from += FULL_WINDOW_SECONDS) {
      const to = Math.min(last, from + FULL_WINDOW_SECONDS);
      yield this.#rows({ from, to }, sends.acknowledged);
    }
  }

  *#allRejects(): Generator<RejectsPart> {
    const { sends } = this.#options.load;
    for (let from = 0; from === 0 || from < sends.length; from += SENDS_AT_ONCE) {
      const to = Math.min(sends.length, from + SENDS_AT_ONCE);
      const noEnd = new Array<number>(sends.partitions).fill(Number.MAX_SAFE_INTEGER);
      yield this.#rejects({ from, to }, to === sends.length ? noEnd : sends.endsBefore(to));
    }
  }

  /** @param settled records with a smaller index must be stored; others may be if they were attempted */
  #rows(window: Range, settled: number): RowsPart {
    const { records, load: { attempted } } = this.#options;
    return {
      between: microsOf(window),
      due: this.#due(window, settled),
      at: (customerId, micros) => {
        const index = Records.indexOf(Number(micros));
        if (index === undefined || index >= attempted) return undefined;
        const row = expectedRow(records, index);
        return row.customerId === customerId ? row : undefined;
      },
    };
  }

  *#due({ from, to }: Range, settled: number): Generator<ExpectedRow> {
    for (const [kind, seconds] of [["good", 0], ["late", LATE_SECONDS]] as const) {
      const first = Math.max(0, (from + seconds) * READINGS_PER_SECOND);
      const last = Math.min(settled, (to + seconds) * READINGS_PER_SECOND);
      for (let index = first; index < last; index++) {
        if (kindOf(index) === kind) yield expectedRow(this.#options.records, index);
      }
    }
  }

  /** @param places of the sends; also judges the offsets between them and earlier sends @param ends offsets by partition */
  #rejects(places: Range, ends: readonly number[]): RejectsPart {
    const { records, load: { sends, attempted } } = this.#options;
    const due = new Map<string, ExpectedReject>();
    const acknowledged: Range[][] = Array.from({ length: sends.partitions }, () => []);
    for (let place = places.from; place < places.to; place++) {
      const { from, count, baseOffsets, counts } = sends.at(place);
      baseOffsets.forEach((base, partition) => {
        if (base !== undefined) {
          acknowledged[partition]?.push({ from: base, to: base + (counts[partition] ?? 0) });
        }
      });
      const next = [...baseOffsets];
      for (let position = from; position < from + count; position++) {
        const index = Records.indexAt(position);
        const partition = records.partitionOf(index);
        const offset = next[partition] ?? 0;
        next[partition] = offset + 1;
        const reject = expectedReject(records, index);
        if (reject !== undefined) due.set(`${partition}:${offset}`, reject);
      }
    }
    return {
      offsets: sends.endsBefore(places.from)
        .map((from, partition) => ({ from, to: ends[partition] ?? from })),
      due,
      again: ({ kafka_partition, kafka_offset, key }) => {
        const offset = Number(kafka_offset);
        const known = acknowledged[kafka_partition]?.some(({ from, to }) => offset >= from && offset < to);
        const index = indexOfKey(key);
        return known || index >= attempted ? undefined : expectedReject(records, index);
      },
    };
  }
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
