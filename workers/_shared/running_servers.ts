/** Finds the servers of `deno task up` or `deno task stack`, so that the other tasks of a clone need no settings. */
import { join, resolve } from "node:path";
import { DATABASE_URL } from "./database_url.ts";
import { type Environment, optional } from "./env.ts";
import { UsageError } from "./errors.ts";

export const DEFAULT_HOME = resolve(import.meta.dirname ?? ".", "..", "..", ".stack", "data");
/** A file in the data folder while the servers run. It has lines of NAME=value, in the format of --env-file. */
export const ADDRESSES_FILE = "addresses.env";
/** A file in the data folder. The process that runs the servers locks it. */
export const LOCK_FILE = "lock";

const NAMES = ["KAFKA_BOOTSTRAP_SERVERS", "DATABASE_URL"] as const;
type Name = typeof NAMES[number];
/** The passwords of the roles. The file's values replace those of the environment, because `up` has set them in the database. */
const PASSWORDS = ["HEARTBEAT_WRITER_PASSWORD", "HEARTBEAT_READER_PASSWORD"];

/** The settings of a program that only reads. READER_DATABASE_URL, if it is set, takes the place of DATABASE_URL. */
export const READER_SETTINGS = { DATABASE_URL, READER_DATABASE_URL: optional(DATABASE_URL) };

interface Options {
  readonly needed?: readonly Name[];
  /** If true, READER_DATABASE_URL replaces DATABASE_URL, because the program only reads. */
  readonly reads?: boolean;
  readonly home?: string;
}

/**
 * Adds the addresses that the environment does not set. If the environment names a server that is not in the file, the file is
 * not used, because records of one installation must not get into the database of another.
 *
 * @returns `note`: a sentence for the user if an address came from the file
 * @throws UsageError from `load`, with the reason why the file was not used
 */
export async function withRunningServers<T>(
  environment: Environment,
  load: (env: Environment) => T,
  { needed = NAMES, reads = false, home = DEFAULT_HOME }: Options = {},
): Promise<{ readonly config: T; readonly note: string | undefined }> {
  const env = reads ? asReader(environment) : environment;
  const file = join(home, ADDRESSES_FILE);
  const missing = needed.filter((name) => !isSet(env, name));
  const absent = (error: Error) => error instanceof Deno.errors.NotFound ? undefined : error;
  const mustRead = !Deno.build.standalone && missing.length > 0;
  const text = mustRead ? await Deno.readTextFile(file).catch(absent) : undefined;
  if (text === undefined) return { config: load(env), note: undefined };
  const found = await readAddresses(text, env, home);
  if (typeof found !== "string") {
    const addresses = reads ? asReader(found.addresses) : found.addresses;
    const taken = missing.filter((name) => addresses[name] !== undefined);
    const passwords = PASSWORDS.filter((name) => addresses[name] !== undefined);
    const config = load({
      ...env,
      ...Object.fromEntries([...taken, ...passwords].map((name) => [name, addresses[name]])),
      ...Object.fromEntries(passwords.map((name) => [`${name}_FILE`, undefined])),
    });
    // `up` writes no address of a server that the user runs.
    if (taken.length === 0) return { config, note: undefined };
    const what = taken.map((name) => name === "DATABASE_URL" ? "PostgreSQL" : "Kafka").join(" and ");
    return { config, note: `Using ${what} of the running \`deno task ${found.task}\` (${file})` };
  }
  try {
    return { config: load(env), note: undefined };
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    throw new UsageError(`${error.message}\n  ${file} is not used: ${found}`, error.problems);
  }
}

async function readAddresses(text: string | Error, env: Environment, home: string) {
  if (text instanceof Error) return `it cannot be read (${text.message})`;
  const lines = text.matchAll(/^(\w+)=(.+)$/gm);
  const addresses: Environment = Object.fromEntries(lines.map(([, name, value]) => [name, value]));
  const known = Object.values(addresses);
  const other = NAMES.find((name) => isSet(env, name) && !known.includes(env[name]));
  if (other !== undefined) return `${other} is set and names another server, expected both to be set or none`;
  if (!await isLocked(join(home, LOCK_FILE))) {
    return "the process that wrote it has ended; start `deno task up` or `deno task stack` again";
  }
  return { addresses, task: /`deno task (\w+)`/.exec(text)?.[1] ?? "stack" };
}

function asReader(env: Environment): Environment {
  const { READER_DATABASE_URL: url, READER_DATABASE_URL_FILE: file } = env;
  return isSet(env, "READER_DATABASE_URL") ? { ...env, DATABASE_URL: url, DATABASE_URL_FILE: file } : env;
}

function isSet(env: Environment, name: string): boolean {
  return (env[name] ?? "") !== "" || (env[`${name}_FILE`] ?? "") !== "";
}

/** Whether a running process holds the lock. The operating system releases it when the process ends. */
export async function isLocked(path: string): Promise<boolean> {
  try {
    using file = await Deno.open(path);
    // A shared lock, so that several tasks can check at the same time.
    return !await file.tryLock(false);
  } catch {
    return false;
  }
}
