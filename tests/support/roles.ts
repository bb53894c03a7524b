/** The writer and the reader of a test's database: made by the consumer, and logged in as. */
import { strictEqual } from "node:assert";
// @ts-types="@types/pg"
import type pg from "pg";
import type { Place } from "./place.ts";

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

export function urlOf(place: Place, role: string, password: string): string {
  const url = new URL(place.databaseUrl);
  url.username = role;
  url.password = password;
  return url.href;
}

/** The SQLSTATE of each statement, run one by one; "done" for what was not refused. */
export async function answers(
  client: pg.Client,
  statements: readonly string[],
): Promise<(readonly [string, string])[]> {
  const told: [string, string][] = [];
  for (const statement of statements) {
    await client.query("begin");
    const answer = await client.query(statement).then(() => "done", ({ code }: { code: string }) => code);
    await client.query("rollback");
    told.push([statement, answer]);
  }
  return told;
}
