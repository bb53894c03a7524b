/**
 * Folder `postgres`: runs PostgreSQL servers as child processes, with their programs, data folders, disks and TLS. It
 * creates no table.
 *
 * Starts a PostgreSQL server that keeps its data between starts.
 */
import { randomBytes } from "node:crypto";
import { dirname, join } from "node:path";
import { PipelineError } from "../../workers/_shared/errors.ts";
import { Child, type OsUser } from "../process/child.ts";
import { exists, removeFolder } from "../process/clone.ts";
import { HOST } from "../network/ports.ts";
import type { PostgresBinaries } from "./postgres_binaries.ts";
import { withClient } from "./postgres_client.ts";
import { removeStaleLock } from "./postmaster.ts";
import { type Service, startService } from "../process/service.ts";

const STOP_DEADLINE_MS = 4_000;
const DATABASE = "heartbeat_db";
const USER = "heartbeat_user";
/**
 * Gives every machine the same sort order and case rules, independent of its locales. docker-compose.yml has the same
 * values.
 */
export const INITDB_LOCALE = [
  "--encoding=UTF8",
  "--locale=C",
  "--locale-provider=builtin",
  "--builtin-locale=C.UTF-8",
];

const SUPERUSER = "postgres";
/** A server that runs answers within these times. */
const CLIENT_TIMEOUTS = { connectionTimeoutMillis: 2_000, query_timeout: 10_000 };

export interface PostgresOptions {
  /** Absolute path of the folder for password and log. */
  readonly folder: string;
  readonly pidFile: string;
  /** Absolute path of a folder that `user` may write to. */
  readonly dataFolder: string;
  /** Undefined: the user of this process. */
  readonly user: OsUser | undefined;
  /** Comes before the server's command, so that the server runs as `user` where its disk is mounted. */
  readonly commandPrefix?: readonly string[] | undefined;
  readonly port: number;
  readonly config?: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
  readonly onProgress: (text: string) => void;
}

export interface Postgres {
  readonly service: Service;
  readonly databaseUrl: string;
  readonly superuserUrl: string;
}

/** Starts the server, creates the database and its owner if they are missing, and waits until it answers. */
export async function startPostgres(binaries: PostgresBinaries, options: PostgresOptions): Promise<Postgres> {
  const { folder, dataFolder, port, onProgress } = options;
  await Deno.mkdir(folder, { recursive: true });
  const data = join(dataFolder, "data");
  const logPath = join(folder, "postgres.log");
  const password = await keptPassword(join(folder, "postgres.password"), data);
  if (!await exists(data)) {
    onProgress("PostgreSQL: creating its data directory (once)");
    await initialise(binaries, options, data, password);
  }
  onProgress(`PostgreSQL: starting on port ${port}`);
  const url = (name: string, database: string) =>
    `postgres://${name}:${encodeURIComponent(password)}@${HOST}:${port}/${database}`;
  const superuserUrl = url(SUPERUSER, "postgres");
  const service = await servePostgres(binaries, {
    ...options,
    name: "PostgreSQL",
    data,
    logPath,
    superuserUrl,
  });
  try {
    await makeDatabase(superuserUrl, password);
  } catch (error) {
    await service.stop();
    throw new PipelineError(
      "stack_failed",
      `Cannot prepare PostgreSQL in ${data}: its password is not the one kept in ${folder}, ` +
        "or its data is damaged; delete both to start anew",
      { cause: error },
    );
  }
  return { service, databaseUrl: url(USER, DATABASE), superuserUrl };
}

export interface ServeOptions {
  readonly name: string;
  /** Absolute path of an existing data directory. */
  readonly data: string;
  readonly logPath: string;
  readonly pidFile: string;
  readonly user: OsUser | undefined;
  readonly commandPrefix?: readonly string[] | undefined;
  readonly port: number;
  readonly config?: Readonly<Record<string, string>>;
  readonly superuserUrl: string;
  readonly signal: AbortSignal;
}

/** Starts a primary or a standby, and waits until it answers. */
export async function servePostgres(binaries: PostgresBinaries, options: ServeOptions): Promise<Service> {
  const { name, data, logPath, pidFile, user, commandPrefix, port, config, superuserUrl, signal } = options;
  const spawn = async () => {
    await removeStaleLock(data);
    const log = await Deno.open(logPath, { create: true, append: true });
    const encoder = new TextEncoder();
    const child = new Child({
      command: binaries.postgres,
      args: [
        "-D",
        data,
        ...Object.entries({
          listen_addresses: HOST,
          port: String(port),
          // A Unix socket needs a short path that the server's user may enter. TCP alone is enough.
          unix_socket_directories: "",
          timezone: "UTC",
          log_timezone: "UTC",
          ...config,
        }).flatMap(([name, value]) => ["-c", `${name}=${value}`]),
      ],
      user,
      commandPrefix,
      // The server's user may lack access to this process's working directory.
      cwd: dirname(data),
      pidFile,
      // SIGINT starts a "fast" shutdown: PostgreSQL ends the sessions and rolls open transactions back.
      stopSignal: "SIGINT",
      onLine: (line) => void log.writeSync(encoder.encode(`${line}\n`)),
    });
    child.exited.finally(() => log.close());
    return child;
  };
  return await startService({
    name,
    port,
    logPath,
    spawn,
    answers: () => answers(superuserUrl),
    stop: (child) => stop(child, binaries, data),
    transientFailure: /pre-existing shared memory block is still in use/,
  }, { signal });
}

async function stop(child: Child, binaries: PostgresBinaries, data: string): Promise<void> {
  if (Deno.build.os === "windows") {
    // Windows has no signals.
    await new Deno.Command(binaries.pgCtl, { args: ["stop", "-m", "fast", "-w", "-D", data], stdout: "null" })
      .output();
  }
  await child.stop(STOP_DEADLINE_MS);
}

/** A password without its data directory is useless, so it is replaced. */
async function keptPassword(path: string, data: string): Promise<string> {
  const kept = await Deno.readTextFile(path).then((text) => text.trim(), () => "");
  if (kept !== "" && await exists(data)) return kept;
  const password = randomBytes(18).toString("base64url");
  await Deno.writeTextFile(path, `${password}\n`, { mode: 0o600 });
  return password;
}

async function initialise(
  binaries: PostgresBinaries,
  { dataFolder, user }: PostgresOptions,
  data: string,
  password: string,
): Promise<void> {
  const unfinished = `${data}.unfinished`;
  await removeFolder(unfinished);
  const passwordFile = join(dataFolder, "password");
  await Deno.writeTextFile(passwordFile, `${password}\n`, { mode: 0o600 });
  if (user !== undefined) await Deno.chown(passwordFile, user.uid, user.gid);
  const { success, stdout, stderr } = await new Deno.Command(binaries.initdb, {
    args: [
      `--pgdata=${unfinished}`,
      `--username=${SUPERUSER}`,
      `--pwfile=${passwordFile}`,
      "--auth=scram-sha-256",
      ...INITDB_LOCALE,
    ],
    stdin: "null",
    cwd: dataFolder,
    ...(user === undefined ? {} : { uid: user.uid, gid: user.gid }),
  }).output();
  await Deno.remove(passwordFile);
  if (!success) {
    const output = new TextDecoder().decode(stderr) + new TextDecoder().decode(stdout);
    throw new PipelineError(
      "stack_failed",
      `Cannot make PostgreSQL's data directory ${data}: ${output.trim()}`,
    );
  }
  await Deno.rename(unfinished, data);
}

async function answers(url: string): Promise<boolean> {
  return await withClient(url, (client) => client.query("select 1"), CLIENT_TIMEOUTS).then(
    () => true,
    isRefusal,
  );
}

/**
 * The server runs if it refuses the login (SQLSTATE class 28) or knows no such database (3D). Waiting would change
 * neither.
 */
function isRefusal(error: unknown): boolean {
  return error instanceof Error && "code" in error && /^(28|3D)/.test(String(error.code));
}

async function makeDatabase(superuserUrl: string, password: string): Promise<void> {
  await withClient(superuserUrl, async (client) => {
    const roles = await client.query("select from pg_roles where rolname = $1", [USER]);
    if (roles.rowCount === 0) {
      await client.query(`create role ${USER} login password ${client.escapeLiteral(password)}`);
    }
    const databases = await client.query("select from pg_database where datname = $1", [DATABASE]);
    if (databases.rowCount === 0) await client.query(`create database ${DATABASE} owner ${USER}`);
  }, CLIENT_TIMEOUTS);
}
