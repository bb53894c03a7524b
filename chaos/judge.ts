/**
 * The judge of a run: each record that was acknowledged ended in exactly one place, and nothing else is there. A part of it
 * looks all the time, at what is settled since it looked last; the whole of it at the end.
 */
import type { Load } from "./load.ts";
import { judgeLatest, judgeMinutes } from "./judge_derived.ts";
import { judgeLedger, type LogTotals } from "./judge_ledger.ts";
import { judgeRejects } from "./judge_rejects.ts";
import { FIRST_WINDOW_FROM, judgeRows, secondsOf } from "./judge_rows.ts";
import { LATE_SECONDS, READINGS_PER_SECOND, Records } from "./records.ts";
import { type Query, say } from "./query.ts";

export interface JudgeOptions {
  readonly query: Query;
  readonly records: Records;
  readonly load: Pick<Load, "sends" | "attempted">;
  readonly topic: string;
}

export interface Judgement {
  readonly problems: readonly string[];
  readonly rows: number;
  readonly rejects: number;
  /** Records without a row or a reject. */
  readonly lost: number;
}

/** Seconds of measured time that are judged in one go while the run is under way, and at its end. */
const WINDOW_SECONDS = 60;
const FULL_WINDOW_SECONDS = 300;
const WINDOWS_A_LOOK = 4;
const SENDS_AT_ONCE = 400;

export class Judge {
  readonly #options: JudgeOptions;
  /** What was looked at while the run was under way: sends, seconds of measured time. */
  #settledSends = 0;
  #judgedSends = 0;
  #judgedSeconds = 0;

  constructor(options: JudgeOptions) {
    this.#options = options;
  }

  /**
   * Judges the ledger, and of what is settled the part that was not judged yet.
   *
   * @param next how far the ledger is, by partition, before this is called
   * @throws when the database is away; nothing is known then
   */
  async look(next: readonly number[]): Promise<string[]> {
    const { query, records, load, topic } = this.#options;
    const { sends } = load;
    this.#settledSends = sends.settled(next, this.#settledSends);
    const settled = sends.recordsBefore(this.#settledSends);
    const problems = (await judgeLedger(query, topic)).problems;
    for (let turn = 0; turn < WINDOWS_A_LOOK; turn++) {
      const window = { from: this.#judgedSeconds, to: this.#judgedSeconds + WINDOW_SECONDS };
      if (window.to * READINGS_PER_SECOND > settled) break;
      const extent = { settled, attempted: load.attempted };
      const late = { from: window.from - LATE_SECONDS, to: window.to - LATE_SECONDS };
      const minutes = await judgeMinutes(query, {
        from: Records.microsOfSecond(window.from),
        to: Records.microsOfSecond(window.to),
      });
      for (const one of [window, late]) {
        problems.push(...(await judgeRows(query, records, one, extent)).problems);
      }
      problems.push(...minutes);
      this.#judgedSeconds = window.to;
    }
    // The last one stays for the next look: what lies in the log behind it is not known yet.
    const to = Math.min(this.#settledSends, this.#judgedSends + SENDS_AT_ONCE);
    if (to > this.#judgedSends) {
      const context = { sends, topic, attempted: load.attempted };
      const places = { from: this.#judgedSends, to, last: false };
      problems.push(...(await judgeRejects(query, records, context, places)).problems);
      this.#judgedSends = to;
    }
    return problems;
  }

  /**
   * Judges everything. Call it when nothing is under way any more.
   *
   * @param ends of the log by partition, as Kafka says; all of it is in the ledger
   */
  async everything(ends: readonly number[]): Promise<Judgement> {
    const { query, records, load, topic } = this.#options;
    const { sends, attempted } = load;
    const problems: string[] = [];
    const totals = { rows: 0, rejects: 0, lost: 0 };
    const extent = { settled: sends.acknowledged, attempted };
    const last = secondsOf(attempted);
    for (let from = FIRST_WINDOW_FROM; from < last; from += FULL_WINDOW_SECONDS) {
      const window = { from, to: Math.min(last, from + FULL_WINDOW_SECONDS) };
      const judged = await judgeRows(query, records, window, extent);
      problems.push(...judged.problems);
      totals.rows += judged.rows;
      totals.lost += judged.lost;
    }
    for (let from = 0; from === 0 || from < sends.length; from += SENDS_AT_ONCE) {
      const to = Math.min(sends.length, from + SENDS_AT_ONCE);
      const context = { sends, topic, attempted };
      const judged = await judgeRejects(query, records, context, { from, to, last: to === sends.length });
      problems.push(...judged.problems);
      totals.rejects += judged.rows;
      totals.lost += judged.lost;
    }
    const ledger = await judgeLedger(query, topic);
    problems.push(
      ...ledger.problems,
      ...this.#judgeTotals(ledger.totals, ends, totals),
      ...await this.#judgeElsewhere(totals.rows),
      ...await judgeMinutes(query),
      ...await judgeLatest(query),
    );
    return { problems, ...totals };
  }

  /** Every offset of the log is in the ledger once, and as many of them were refused as there are rejects. */
  #judgeTotals(
    ledger: LogTotals,
    ends: readonly number[],
    found: { rows: number; rejects: number },
  ): string[] {
    const { sends } = this.#options.load;
    const log = ends.reduce((sum, end) => sum + end, 0);
    const problems: string[] = [];
    const expect = (what: string, is: number, expected: number) => {
      if (is !== expected) problems.push(`${what}: is ${is}, expected ${expected}`);
    };
    ends.forEach((end, partition) => {
      expect(`next offset of partition ${partition}`, ledger.next.get(partition) ?? 0, end);
      const acknowledged = sends.ends[partition] ?? 0;
      if (end < acknowledged) {
        problems.push(
          `partition ${partition} of the log ends at ${end}, but ${acknowledged} were acknowledged`,
        );
      }
    });
    expect("records in the ledger", ledger.stored + ledger.rejected + ledger.duplicates + ledger.gaps, log);
    expect("gaps", ledger.gaps, 0);
    expect("stored, by the ledger", ledger.stored, found.rows);
    expect("rejected, by the ledger", ledger.rejected, found.rejects);
    return problems;
  }

  /** Rows at instants that no record has. */
  async #judgeElsewhere(rows: number): Promise<string[]> {
    const [{ count } = { count: "0" }] = await this.#options.query<{ count: string }>(
      "select count(*) from public.heartbeats",
    );
    return Number(count) === rows ? [] : say("rows at instants of no record:", [`${Number(count) - rows}`]);
  }
}
