import { builtQueries } from "../../grafana/queries/grafana_files.ts";
import { expandMacros } from "../../grafana/queries/grafana_macros.ts";

export interface NamedQuery {
  readonly name: string;
  readonly sql: string;
}

const DAY_MS = 86_400_000;

/** All queries of the dashboards and alert rules, with their default ranges until `end`, and two queries of users. */
export async function userQueries(end: Date): Promise<NamedQuery[]> {
  const queries = (await builtQueries()).map(({ name, sql, context }) => {
    const { variables, ...rest } = context(end);
    // An existing customer: a query without rows would be fast for the wrong reason.
    const chosen = {
      ...variables,
      ...(variables?.["customer"] === undefined ? {} : { customer: "customer-0500" }),
    };
    return { name, sql: expandMacros(sql, { ...rest, variables: chosen }) };
  });
  const dayAgo = new Date(end.getTime() - DAY_MS).toISOString();
  return [
    ...queries,
    {
      name: "SQL: the latest twenty readings",
      sql: "select customer_id, ts, heart_rate from public.heartbeats order by ts desc limit 20",
    },
    {
      name: "SQL: a customer's last day",
      sql: `select ts, heart_rate from public.heartbeats
             where customer_id = 'customer-0500' and ts > '${dayAgo}'
             order by ts`,
    },
  ];
}
