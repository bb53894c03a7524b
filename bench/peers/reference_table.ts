import { withClient } from "../../stack/postgres/postgres_client.ts";
import { describeError, PipelineError, UsageError } from "../../workers/_shared/errors.ts";

/** Such a name needs no quotes in SQL. Neither do the names that the peers derive from it. */
const PLAIN_NAME = /^[a-z_][a-z0-9_]{0,54}$/;

/** A table without partitions, with the indexes that queries by customer and by time need. */
export function referenceTable(table: string): string {
  if (!PLAIN_NAME.test(table)) {
    throw new UsageError(
      `Cannot use the table ${table}: expected at most 55 lower-case letters, digits and underscores, the first one not a digit`,
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

/** Creates the table if it is missing. An existing table may have more columns if they are nullable. */
export async function ensureReferenceTable(databaseUrl: string, table: string): Promise<void> {
  const statements = referenceTable(table);
  try {
    await withClient(databaseUrl, async (client) => {
      const { rows } = await client.query("select to_regclass($1) is not null as there", [`public.${table}`]);
      if (!rows[0].there) await client.query(statements);
    });
  } catch (error) {
    throw new PipelineError(
      "database_refused",
      `Cannot create the table public.${table}: ${describeError(error)}`,
      { cause: error },
    );
  }
}
