// @ts-types="@types/pg"
import type pg from "pg";
import { MIGRATIONS } from "../../migrations/mod.ts";
import { type Stack, startStack } from "../../stack/mod.ts";
import { closeClient, openClient, withClient } from "../../stack/postgres/postgres_client.ts";
import { openDatabase } from "../../workers/_shared/postgres.ts";
import { migrate } from "../../workers/consumer/schema/migrate.ts";
import { makeRoles } from "../../workers/consumer/schema/roles.ts";
import { builtQueries, type BuiltQuery } from "../../grafana/queries/grafana_files.ts";
import { expandMacros } from "../../grafana/queries/grafana_macros.ts";

const READER_PASSWORD = "reader-pass-1";

let starting: Promise<Stack> | undefined;
const postgres = () =>
  starting ??= Deno.makeTempDir({ prefix: "heartbeat-test-" })
    .then((home) => startStack({ home, services: ["postgres"] }));

Deno.test.afterAll(async () => await (await starting)?.destroy());

export type Row = Record<string, unknown>;

/** A database with the queries of all dashboards and alert rules, run as the role that Grafana uses. */
export class MonitoredDatabase implements AsyncDisposable {
  constructor(
    readonly owner: pg.Client,
    readonly reader: pg.Client,
    readonly queries: readonly BuiltQuery[],
  ) {}

  /** @param part unique part of the name of a panel, variable, annotation or alert rule */
  query(part: string): BuiltQuery {
    const found = this.queries.filter(({ name }) => name.includes(part));
    if (found.length !== 1) {
      throw new TypeError(`${found.length} queries have ${part} in their name, expected one`);
    }
    return found[0] as BuiltQuery;
  }

  async run(query: BuiltQuery, options: RunOptions = {}) {
    const context = query.context(options.end ?? new Date(), options.rangeMs);
    const variables = { ...context.variables, customer: options.customer ?? "high-now" };
    const search = options.search === undefined ? {} : { search: options.search };
    const sql = expandMacros(query.sql, { ...context, variables, ...search });
    try {
      return await this.reader.query<Row>(sql);
    } catch (error) {
      throw new Error(`${query.name} failed:\n${sql}`, { cause: error });
    }
  }

  async rows(part: string, options: RunOptions = {}): Promise<Row[]> {
    return (await this.run(this.query(part), options)).rows;
  }

  /** Returns the single number of a stat panel or alert rule. */
  async number(part: string, options: RunOptions = {}): Promise<number> {
    const [row = {}] = await this.rows(part, options);
    const numbers = Object.entries(row).filter(([name]) => name !== "time").map(([, value]) => Number(value));
    return numbers[0] ?? NaN;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await closeClient(this.reader);
    await closeClient(this.owner);
  }
}

export interface RunOptions {
  readonly rangeMs?: number;
  /** End of the time range. Default: now. */
  readonly end?: Date;
  readonly customer?: string;
  readonly search?: string;
}

/** @param name name of the database that is created */
export async function openMonitoredDatabase(name: string): Promise<MonitoredDatabase> {
  const { superuserUrl } = await postgres();
  const at = (database: string, user?: string) => {
    const url = new URL(superuserUrl);
    url.pathname = `/${database}`;
    if (user !== undefined) [url.username, url.password] = [user, READER_PASSWORD];
    return url.href;
  };
  await withClient(superuserUrl, (client) => client.query(`create database ${name}`));
  {
    await using database = openDatabase(at(name), {
      connections: 1,
      name: "heartbeat-test",
      limits: { statementMs: 60_000, lockMs: 60_000, idleInTransactionMs: 60_000, transactionMs: 60_000 },
    });
    await migrate(database, MIGRATIONS);
    await makeRoles(database, { writer: undefined, reader: READER_PASSWORD });
  }
  return new MonitoredDatabase(
    await openClient(at(name)),
    await openClient(at(name, "heartbeat_reader")),
    await builtQueries(),
  );
}
