/** The table that every contender stores into: not partitioned, and with the two indexes that the questions need. */
// @ts-types="@types/pg"
import pg from "pg";
import { UsageError } from "../../workers/_shared/errors.ts";

/** Needs no quoting, in SQL and in what the peers make of it. */
const PLAIN_NAME = /^[a-z_][a-z0-9_]{0,54}$/;

/** The statements that make it. @throws UsageError when the name would have to be quoted */
export function referenceTable(table: string): string {
  if (!PLAIN_NAME.test(table)) {
    throw new UsageError(
      `Cannot use the table ${table}: expected a name of lower-case letters, digits and underscores`,
    );
  }
  return `create table public.${table} (
  customer_id text        not null,
  ts          timestamptz not null,
  heart_rate  smallint    not null,
  primary key (customer_id, ts)
);
create index ${table}_ts_idx on public.${table} (ts);`;
}

/** Makes it unless it is there. */
export async function ensureReferenceTable(databaseUrl: string, table: string): Promise<void> {
  const statements = referenceTable(table);
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  try {
    const { rows } = await client.query("select to_regclass($1) is not null as there", [`public.${table}`]);
    if (!rows[0].there) await client.query(statements);
  } finally {
    await client.end();
  }
}
