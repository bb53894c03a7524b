import { deepStrictEqual, strictEqual } from "node:assert";
import { judgeChain } from "../../chaos/judge/chain.ts";
import { judgeLatest, judgeMinutes } from "../../chaos/judge/derived.ts";
import type { Place } from "../../lab/place.ts";
import { type Database, openDatabase } from "../../workers/_shared/postgres.ts";
import type { LedgerRow } from "../../workers/consumer/kafka_partition/partition.ts";
import {
  type Outcome,
  readLag,
  ROLLUP_LIMITS,
  runRound,
  type Size,
} from "../../workers/consumer/rollup/round.ts";
import { openLedger } from "../../workers/consumer/store/ledger.ts";
import { batchWriter, openPlace, sliceOfValues } from "./batch_writer.ts";

const T = "2026-07-14T09:30:00Z";
const TOPIC_ID = "6f1ed002-ab5f-4a5b-8bf5-6f1ed002ab5f";
const PARTITIONS = 2;
// A batch has one reading per customer. All readings but the last are in the same minute.
const BATCH = 6;
// The sizes are so small that a rebuild needs several rounds.
const SIZE: Size = { offsets: 40, rebuildRows: 2 };

/** Writes ledger rows, readings and change rows as the ingest does, and runs rounds of the rollup, without Kafka. */
export class Feed implements AsyncDisposable {
  readonly #database: Database;
  #ledgers: LedgerRow[] = [];
  #batches = 0;

  private constructor(private readonly place: Place, private readonly from: string) {
    this.#database = openPlace(place);
  }

  /** @param from the instant of the first reading */
  static async open(place: Place, from = T): Promise<Feed> {
    await place.consumer({ args: ["--migrate-only"] }).exitCode();
    const feed = new Feed(place, from);
    for (let partition = 0; partition < PARTITIONS; partition++) {
      const log = { topic: place.topic, topicId: TOPIC_ID, partition };
      feed.#ledgers.push(await openLedger(feed.#database, log, 0, 100));
    }
    return feed;
  }

  /** Commits batches to the partitions in rotation. Each batch is half a minute later than the previous one. */
  async store(batches: number): Promise<void> {
    for (; batches > 0; batches--) {
      const number = this.#batches++;
      const index = number % this.#ledgers.length;
      const ledger = this.#ledgers[index];
      if (ledger === undefined) throw new TypeError("a feed needs partitions");
      const values = Array.from({ length: BATCH }, (_, customer) => {
        const ms = Date.parse(this.from) + number * 30_000 + customer * 1_000 -
          // The last reading is late, so it is not the latest reading of its customer.
          (customer === BATCH - 1 ? 150_000 : 0);
        const timestamp = new Date(ms).toISOString();
        return JSON.stringify({
          customer_id: `c-${customer}`,
          timestamp,
          heart_rate: 31 + (number * 7 + customer) % 189,
        });
      });
      const outcome = await batchWriter(this.#database)(ledger, sliceOfValues(ledger.nextOffset, values));
      strictEqual(outcome.kind, "written");
      this.#ledgers[index] = { ...ledger, nextOffset: ledger.nextOffset + BATCH };
    }
  }

  /** Reads the ledger again, as the ingest does after another session moved an offset. */
  async readLedger(): Promise<void> {
    this.#ledgers = await Promise.all(
      this.#ledgers.map((ledger) => openLedger(this.#database, ledger, ledger.generation, 0)),
    );
  }

  /**
   * Runs rounds until no change row waits.
   * @returns the outcomes of the rounds in order
   */
  async follow(size = SIZE): Promise<Outcome[]> {
    const outcomes: Outcome[] = [];
    await using database = openRollup(this.place);
    while (!(await readLag(database)).isNone) outcomes.push(await runRound(database, size));
    return outcomes;
  }

  /** Checks that minute aggregates and latest readings equal the stored readings. */
  async judge(): Promise<void> {
    const query = this.place.sql.bind(this.place);
    deepStrictEqual([...await judgeMinutes(query), ...await judgeLatest(query)], []);
  }

  /** Also checks that no change row waits and no rebuild is running. */
  async judgeEnd(): Promise<void> {
    await this.judge();
    deepStrictEqual(await judgeChain(this.place.sql.bind(this.place)), {
      problems: [],
      waiting: 0,
      cursor: null,
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#database[Symbol.asyncDispose]();
  }
}

/** Opens the database with the settings of the rollup. */
export function openRollup({ databaseUrl }: Pick<Place, "databaseUrl">): Database {
  return openDatabase(databaseUrl, { connections: 0, limits: ROLLUP_LIMITS, name: "rollup-test" });
}

/** Runs `work` before each statement of a transaction but the first one. */
export function beforeStatements(database: Database, work: (sql: string) => Promise<void>): Database {
  return {
    ...database,
    transaction: (run, first) =>
      database.transaction((session, rows) => {
        const query = async (statement: string | { text: string }, values?: unknown[]) => {
          await work(typeof statement === "string" ? statement : statement.text);
          return await session.query(statement, values);
        };
        return run(Object.assign(Object.create(session), { query }), rows);
      }, first),
  };
}
