/**
 * Starts a PostgreSQL standby that follows the stack's server by streaming replication. It uses the low-level backup
 * API, because the embedded programs lack pg_basebackup.
 *
 * @example
 * await using standby = await startStandby(stack, { synchronous: true });
 * await standby.promote();
 */
import { join } from "node:path";
// @ts-types="@types/pg"
import type pg from "pg";
import { PipelineError } from "../workers/_shared/errors.ts";
import type { OsUser } from "./process/child.ts";
import { removeFolder } from "./process/clone.ts";
import type { Stack } from "./mod.ts";
import { freePort } from "./network/ports.ts";
import { servePostgres } from "./postgres/postgres.ts";
import { installPostgres } from "./postgres/postgres_binaries.ts";
import { withClient } from "./postgres/postgres_client.ts";
import { postgresPlace } from "./postgres/postgres_place.ts";
import type { Service } from "./process/service.ts";
import { waitFor } from "./process/wait.ts";

export interface StandbyOptions {
  /** If true, the primary confirms a commit only after the standby has flushed it to disk. */
  readonly synchronous: boolean;
  readonly signal?: AbortSignal;
}

export interface Standby extends AsyncDisposable {
  readonly service: Service;
  /** Makes the standby a primary. Stop the old primary first, because otherwise both accept writes. */
  readonly promote: () => Promise<void>;
}

/** The replication slot has this name, and the standby has it in pg_stat_replication. */
const NAME = "standby";
const STREAMS_WITHIN_MS = 60_000;
/** The server recreates these, as the documentation of PostgreSQL's low-level backup API says. */
const RECREATED_FOLDERS =
  /^(pg_wal|pg_replslot|pg_dynshmem|pg_notify|pg_serial|pg_snapshots|pg_stat_tmp|pg_subtrans)$/;
const SKIPPED_FILES = /^(postmaster\.(pid|opts)|pg_internal\.init.*|pgsql_tmp.*)$/;

/** Copies the running primary, starts the copy and waits until it follows. */
export async function startStandby(stack: Stack, options: StandbyOptions): Promise<Standby> {
  const { programs, user } = await postgresPlace(stack.home);
  const binaries = await installPostgres(programs, { onProgress: () => {} });
  const data = join(stack.postgresFolder, NAME);
  return await withClient(stack.superuserUrl, async (primary) => {
    await backUp(primary, join(stack.postgresFolder, "data"), data, user);
    await follow(stack.superuserUrl, data, user);

    const port = await freePort();
    const url = new URL(stack.superuserUrl);
    url.port = String(port);
    const service = await servePostgres(binaries, {
      name: "PostgreSQL standby",
      data,
      logPath: join(stack.home, "postgres", "standby.log"),
      pidFile: stack.pidFile(NAME),
      user,
      port,
      superuserUrl: url.href,
      signal: options.signal ?? new AbortController().signal,
    });
    await waitUntil(primary, "state = 'streaming'", "follow");
    if (options.synchronous) {
      await primary.query(`alter system set synchronous_standby_names = '${NAME}'`);
      await primary.query("select pg_reload_conf()");
      await waitUntil(primary, "sync_state = 'sync'", "become synchronous");
    }
    return {
      service,
      promote: async () => {
        await withClient(url.href, (standby) => standby.query("select pg_promote()"));
      },
      [Symbol.asyncDispose]: async () => {
        await service.stop();
        await removeFolder(data);
      },
    };
  });
}

/** The server writes during the copy. The write-ahead log since the start of the backup makes the copy consistent. */
async function backUp(primary: pg.Client, from: string, to: string, user: OsUser | undefined): Promise<void> {
  // The slot keeps this part of the log until the standby has fetched it.
  await primary.query(`select pg_create_physical_replication_slot('${NAME}', true)`);
  await primary.query(`select pg_backup_start('${NAME}', fast => true)`);
  await copyFolder(from, to, user);
  const { rows } = await primary.query("select labelfile, spcmapfile from pg_backup_stop()");
  if (String(rows[0].spcmapfile).trim() !== "") {
    throw new PipelineError(
      "stack_failed",
      "Cannot make a standby: the primary has tablespaces, expected none",
    );
  }
  await write(join(to, "backup_label"), rows[0].labelfile, user);
}

async function follow(primaryUrl: string, data: string, user: OsUser | undefined): Promise<void> {
  const { hostname, port, username, password } = new URL(primaryUrl);
  const conninfo = Object.entries({
    host: hostname,
    port,
    user: username,
    password: decodeURIComponent(password),
    application_name: NAME,
  }).map(([name, value]) => `${name}=${value}`).join(" ");
  const settings = join(data, "postgresql.auto.conf");
  const before = await Deno.readTextFile(settings);
  await write(settings, `${before}primary_conninfo = '${conninfo}'\nprimary_slot_name = '${NAME}'\n`, user);
  await write(join(data, "standby.signal"), "", user);
}

async function waitUntil(primary: pg.Client, fact: string, what: string): Promise<void> {
  const holds = async () => {
    const found = await primary.query(
      `select from pg_stat_replication where application_name = '${NAME}' and ${fact}`,
    );
    return found.rowCount === 1;
  };
  if (await waitFor(holds, STREAMS_WITHIN_MS)) return;
  throw new PipelineError("stack_failed", `The standby did not ${what} within ${STREAMS_WITHIN_MS / 1000} s`);
}

async function copyFolder(from: string, to: string, user: OsUser | undefined): Promise<void> {
  await Deno.mkdir(to, { mode: 0o700 });
  await own(to, user);
  for await (const { name, isDirectory, isFile } of Deno.readDir(from)) {
    const [source, target] = [join(from, name), join(to, name)];
    if (RECREATED_FOLDERS.test(name)) {
      await Deno.mkdir(target, { mode: 0o700 });
      await own(target, user);
    } else if (isDirectory) {
      await copyFolder(source, target, user);
    } else if (isFile && !SKIPPED_FILES.test(name)) {
      try {
        await Deno.copyFile(source, target);
        await own(target, user);
      } catch (error) {
        // The table was dropped meanwhile. The standby learns this from the log.
        if (!(error instanceof Deno.errors.NotFound)) throw error;
      }
    }
  }
}

async function write(path: string, text: string, user: OsUser | undefined): Promise<void> {
  await Deno.writeTextFile(path, text, { mode: 0o600 });
  await own(path, user);
}

async function own(path: string, user: OsUser | undefined): Promise<void> {
  if (user !== undefined) await Deno.chown(path, user.uid, user.gid);
}
