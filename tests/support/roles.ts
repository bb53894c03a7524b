import { deepStrictEqual, strictEqual } from "node:assert";
// @ts-types="@types/pg"
import type pg from "pg";
import { withClient } from "../../stack/postgres/postgres_client.ts";
import type { Place } from "../../lab/place.ts";

export const WRITER_PASSWORD = "writer-pass-1";
export const READER_PASSWORD = "reader-pass-1";

export const PERMISSION_DENIED = "42501";
export const READ_ONLY_TRANSACTION = "25006";

export async function makeRoles(place: Place, env: Record<string, string> = {}): Promise<string> {
  await place.asSuperuser("alter role heartbeat_user createrole");
  const migrate = place.consumer({
    args: ["--migrate-only"],
    env: { HEARTBEAT_WRITER_PASSWORD: WRITER_PASSWORD, HEARTBEAT_READER_PASSWORD: READER_PASSWORD, ...env },
  });
  strictEqual(await migrate.exitCode(), 0);
  return migrate.output;
}

type RoleName = "heartbeat_writer" | "heartbeat_reader";

export function urlOf(place: Place, role: RoleName, password?: string): string {
  const url = new URL(place.databaseUrl);
  url.username = role;
  url.password = password ?? (role === "heartbeat_writer" ? WRITER_PASSWORD : READER_PASSWORD);
  return url.href;
}

/** Runs each statement as the role and asserts that PostgreSQL refuses it with this SQLSTATE. */
export async function assertRefused(
  place: Place,
  role: RoleName | "owner",
  statements: readonly string[],
  state = PERMISSION_DENIED,
): Promise<void> {
  const url = role === "owner" ? place.databaseUrl : urlOf(place, role);
  const states = await withClient(url, (client) => statesOf(client, statements));
  deepStrictEqual(states, statements.map((statement) => [statement, state]), role);
}

/**
 * Runs each statement in a separate transaction.
 * @returns for each its SQLSTATE, or "done" if it succeeded
 */
export async function statesOf(
  client: pg.Client,
  statements: readonly string[],
): Promise<(readonly [string, string])[]> {
  const states: [string, string][] = [];
  for (const statement of statements) {
    await client.query("begin");
    const answer = await client.query(statement).then(() => "done", ({ code }: { code: string }) => code);
    await client.query("rollback");
    states.push([statement, answer]);
  }
  return states;
}
