import { Registry } from "prom-client";
import type { Place } from "../../lab/place.ts";
import { type Database, openDatabase, type Row, sessionLimits } from "../../workers/_shared/postgres.ts";
import { openReader } from "../../workers/_shared/reader.ts";
import { openLedger } from "../../workers/consumer/store/ledger.ts";
import { DEFAULT_LIMITS } from "../../workers/monitor/queries/snapshot.ts";
import type { BpmLimits } from "../../workers/monitor/view/view.ts";
import { createQueries, type Queries } from "../../workers/monitor/queries/queries.ts";
import { measure } from "../../workers/monitor/telemetry/measure.ts";
import { monitorTelemetry } from "../../workers/monitor/telemetry/telemetry.ts";
import { batchWriter, sliceOfValues } from "./batch_writer.ts";
import { makeRoles, urlOf } from "./roles.ts";

export interface Asked extends AsyncDisposable {
  readonly queries: Queries;
  readonly database: Database;
  /** The sum of heartbeat_monitor_queries_total. */
  readonly counted: () => Promise<number>;
  /** All statements so far, with the number of rows of each. */
  readonly statements: {
    readonly sql: string;
    readonly values: readonly unknown[];
    readonly rows: readonly unknown[];
  }[];
}

/** The queries of the monitor as the reader, with the schema. */
export async function openQueries(place: Place): Promise<Asked> {
  await makeRoles(place);
  return askAs(urlOf(place, "heartbeat_reader"));
}

export function askAs(url: string): Asked {
  const database = openReader(url, { connections: 2, name: "heartbeat-test" });
  const statements: { sql: string; values: readonly unknown[]; rows: readonly unknown[] }[] = [];
  const noted: Database = {
    ...database,
    query: async <T extends Row>(sql: string, values?: readonly unknown[]) => {
      const rows = await database.query<T>(sql, values);
      statements.push({ sql, values: values ?? [], rows });
      return rows;
    },
    transaction: (work, first) =>
      database.transaction((session, rows) => {
        // deno-lint-ignore no-explicit-any -- the driver's overloads have no type for a wrapper
        const query = async (statement: any, values: any) => {
          const result = await session.query(statement, values);
          const { text: sql = statement } = statement;
          statements.push({ sql, values: values ?? statement.values ?? [], rows: result.rows });
          return result;
        };
        return work(Object.assign(Object.create(session), { query }), rows);
      }, first),
  };
  const silent = () => {};
  const metrics = new Registry();
  const log = { debug: silent, info: silent, warning: silent, error: silent };
  const telemetry = monitorTelemetry({ log, metrics });
  return {
    queries: createQueries(noted, measure(database.target, telemetry)),
    database: noted,
    statements,
    counted: async () => {
      const { values } = await metrics.getSingleMetric("heartbeat_monitor_queries_total")?.get() ??
        { values: [] };
      return values.reduce((sum, { value }) => sum + value, 0);
    },
    [Symbol.asyncDispose]: () => database[Symbol.asyncDispose](),
  };
}

/** A function that stores records as the consumer does, in one batch for each call. No rollup runs. */
export async function openStore(place: Place) {
  const database = openDatabase(place.databaseUrl, {
    connections: 1,
    limits: sessionLimits(30_000),
    name: "test",
  });
  const write = batchWriter(database);
  const ledger = await openLedger(database, { topic: "t", topicId: crypto.randomUUID(), partition: 0 }, 0, 0);
  let next = 0;
  return {
    store: async (values: readonly string[]) => {
      const { kind } = await write({ ...ledger, nextOffset: next }, sliceOfValues(next, values));
      if (kind !== "written") throw new TypeError(`the batch is ${kind}`);
      next += values.length;
    },
    [Symbol.asyncDispose]: () => database[Symbol.asyncDispose](),
  };
}

/** SQL that stores the status of a consumer that has just reported and has nothing to complain about. */
export function readyConsumer(limits: BpmLimits = DEFAULT_LIMITS): string {
  return `
    insert into public.consumer_status (consumer, host, pid, version, group_id, topic, started_at, partitions, log_end_offsets,
           reasons, limits)
    values ('a', 'host', 1, '0', 'g', 't', now(), '{}', '{}', '{}', '${JSON.stringify(limits)}')`;
}

/** The value of a record. */
export function beat(customer_id: string, at: number, heart_rate: number): string {
  return JSON.stringify({ customer_id, timestamp: new Date(at).toISOString(), heart_rate });
}
