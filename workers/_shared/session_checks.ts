/** Checks a connection that was just made: it must be writable where DATABASE_URL asks for that. */
// @ts-types="@types/pg"
import type pg from "pg";
import type { SessionAttributes } from "./database_url.ts";

/** @throws like a server that is read-only when the session is not what target_session_attrs asks for */
export async function requireAttributes(client: pg.ClientBase, wanted: SessionAttributes): Promise<void> {
  if (wanted === "any") return;
  const { rows: [is] } = await client.query<{ standby: boolean; readonly: boolean }>(
    "select pg_is_in_recovery() as standby, current_setting('transaction_read_only')::boolean as readonly",
  );
  if (is?.standby === false && (wanted === "primary" || !is.readonly)) return;
  throw Object.assign(new Error(`the session is read-only, target_session_attrs asks for ${wanted}`), {
    code: "25006",
  });
}
