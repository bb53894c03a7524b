/** DATABASE_URL: what it means, and everything that is wrong with it told at the start and without its secrets. */
// @ts-types="@types/pg"
import type pg from "pg";
import { type Environment, parseSettings, secret, settingsError } from "./env.ts";
import { readTlsFiles, type TlsOptions } from "./tls_files.ts";

export const DATABASE_URL = secret({
  expected: "postgres://user:password@host:5432/database",
  pattern: /^postgres(ql)?:\/\/[^\s]+$/,
});

/** libpq takes a list; the client library would look for a host of that name. */
const SEVERAL_HOSTS =
  "names several hosts, expected one: for a pair that fails over, the address of a proxy or a virtual IP";

export interface DatabaseAddress {
  /** Host, port and name, without the password: for messages. */
  readonly target: string;
  readonly client: pg.ClientConfig;
  /** What a connection must be good for: libpq's target_session_attrs. */
  readonly sessionAttributes: SessionAttributes;
  /** The passwords in it, as they stand there and as they are meant: an error may carry either. */
  readonly secrets: readonly string[];
}

/**
 * Understood after the question mark. Anything else is refused: a misspelt sslmode would be a connection without TLS.
 * The names are those of libpq.
 */
const PARAMETERS = [
  "sslmode",
  "sslrootcert",
  "sslcert",
  "sslkey",
  "sslpassword",
  "host",
  "application_name",
  "options",
  "connect_timeout",
  "target_session_attrs",
  "channel_binding",
] as const;

type Parameters = Readonly<Partial<Record<(typeof PARAMETERS)[number], string>>>;

/** libpq checks less for the first two; whoever asks for TLS gets the check of the name as well, never less than asked. */
const WITH_TLS = ["require", "verify-ca", "verify-full"];

/** The other values of target_session_attrs ask for a standby, or choose between several hosts. */
const SESSION_ATTRIBUTES = ["any", "read-write", "primary"] as const;
export type SessionAttributes = (typeof SESSION_ATTRIBUTES)[number];

/** A longer wait for a connection would let the attempt take longer than liveness allows. */
const MAX_CONNECT_TIMEOUT_S = 10;

/** Deno lets a program open a Unix socket only with the right to write files, which the workers do not have. */
const UNIX_SOCKET = "names a Unix socket, expected a host name or an IP address, such as 127.0.0.1";

/** Prisma's and Supabase's mark of a pooler that changes the session between two transactions. */
const TRANSACTION_POOLER =
  "has pgbouncer, the mark of a pooler in transaction mode, expected the address of the " +
  "server itself or of a pooler with pool_mode=session, without this parameter";

const DEFAULT_PORT = 5432;
/** A character of the password that was not written as %XX ends it early, and the rest would be shown as something else. */
const MALFORMED = "is malformed (not shown), expected postgres://user:password@host:5432/database " +
  "with %XX for special characters in user and password";

/**
 * Reads DATABASE_URL, or the file that holds it, and what it names.
 *
 * @throws UsageError as `databaseAddress` does
 */
export function readDatabaseAddress(
  program: string,
  env: Environment,
  readFile: (path: string) => string,
): DatabaseAddress {
  const { DATABASE_URL: url } = parseSettings(program, { DATABASE_URL }, env, { readFile });
  return databaseAddress(program, url, readFile);
}

/**
 * Reads the URL and the certificates that it names.
 *
 * @throws UsageError with a line for each thing that is wrong, none of which shows a secret
 */
export function databaseAddress(
  program: string,
  url: string,
  readFile: (path: string) => string,
): DatabaseAddress {
  if (/^postgres(ql)?:\/\/([^\s/?]*@)?[^\s@/?]*,[^\s@/?]*([/?]|$)/.test(url)) {
    throw settingsError(program, [`DATABASE_URL: ${SEVERAL_HOSTS}`]);
  }
  const parts = splitUrl(url);
  if (parts === undefined) throw settingsError(program, [`DATABASE_URL: ${MALFORMED}`]);
  const { parsed, user, password, database } = parts;
  const parameters: Parameters = Object.fromEntries(parsed.searchParams);
  const problems: string[] = [];
  const names = [...parsed.searchParams.keys()];
  problems.push(...unknownParameters(names, parsed.search));
  const repeated = PARAMETERS.filter((name) => names.indexOf(name) !== names.lastIndexOf(name));
  if (repeated.length > 0) {
    // Of two the last would count: a second sslmode could take TLS away that the first asks for.
    problems.push(`DATABASE_URL: has ${repeated.join(" and ")} more than once, expected each parameter once`);
  }
  if (parameters.host?.includes(",")) problems.push(`DATABASE_URL: ${SEVERAL_HOSTS}`);
  const host = parameters.host ?? parsed.hostname.replace(/^\[(.*)\]$/, "$1");
  if (host === "") {
    problems.push("DATABASE_URL: names no host, expected postgres://user:password@host:5432/database");
  }
  if (/^(\/|@|%2f|%40)/i.test(host)) problems.push(`DATABASE_URL: ${UNIX_SOCKET}`);
  const ssl = tlsOf(parameters, readFile, problems);
  const { sessionAttributes, connectTimeoutMs } = sessionOf(parameters, problems);
  if (problems.length > 0) throw settingsError(program, problems);
  const port = parsed.port === "" ? DEFAULT_PORT : Number(parsed.port);
  return {
    target: `${host}:${port}/${database}`,
    client: {
      host,
      port,
      database,
      ...(user === "" ? {} : { user }),
      ...(password === "" ? {} : { password }),
      ...(parameters.options === undefined ? {} : { options: parameters.options }),
      ...(parameters.application_name === undefined ? {} : { application_name: parameters.application_name }),
      ...(connectTimeoutMs === undefined ? {} : { connectionTimeoutMillis: connectTimeoutMs }),
      ssl,
    },
    sessionAttributes,
    secrets: [parsed.password, password, parameters.sslpassword ?? ""].filter((one) => one !== ""),
  };
}

/** @param search the query as it was written */
function unknownParameters(names: readonly string[], search: string): string[] {
  const unknown = new Set(names.filter((name) => !(PARAMETERS as readonly string[]).includes(name)));
  const problems = unknown.delete("pgbouncer") ? [`DATABASE_URL: ${TRANSACTION_POOLER}`] : [];
  if (unknown.size === 0) return problems;
  // An @ means that the "query" may begin inside a password with an unencoded question mark.
  const shown = !search.includes("@") && [...unknown].every((name) => /^[A-Za-z][\w.-]{0,62}$/.test(name));
  const expected = `expected only ${PARAMETERS.join(", ")}`;
  return [
    ...problems,
    shown
      ? `DATABASE_URL: does not understand the parameter ${[...unknown].join(" and ")}, ${expected}`
      : `DATABASE_URL: has a parameter that is not understood (not shown), ${expected}`,
  ];
}

/** What a session must be good for, and how long its beginning may take. */
function sessionOf(
  { connect_timeout, target_session_attrs, channel_binding }: Parameters,
  problems: string[],
): { sessionAttributes: SessionAttributes; connectTimeoutMs: number | undefined } {
  const sessionAttributes = SESSION_ATTRIBUTES.find((one) => one === (target_session_attrs ?? "any"));
  if (sessionAttributes === undefined) {
    problems.push(
      `DATABASE_URL: its target_session_attrs is not understood, expected ${SESSION_ATTRIBUTES.join(", ")}`,
    );
  }
  if (channel_binding !== undefined && !["disable", "prefer"].includes(channel_binding)) {
    problems.push(
      "DATABASE_URL: its channel_binding asks for what the client library cannot promise, expected disable or prefer; " +
        "leave it out, sslmode=verify-full proves by its certificate that the server is the right one",
    );
  }
  const seconds = /^\d{1,3}$/.test(connect_timeout ?? "") ? Number(connect_timeout) : undefined;
  if (
    connect_timeout !== undefined &&
    !(seconds !== undefined && seconds > 0 && seconds <= MAX_CONNECT_TIMEOUT_S)
  ) {
    problems.push(
      `DATABASE_URL: its connect_timeout is not understood, expected an integer from 1 to ${MAX_CONNECT_TIMEOUT_S} (seconds)`,
    );
  }
  return {
    sessionAttributes: sessionAttributes ?? "any",
    connectTimeoutMs: seconds === undefined ? undefined : seconds * 1000,
  };
}

function splitUrl(url: string) {
  const parsed = URL.parse(url);
  if (parsed === null || parsed.hash !== "" || !/^\/[^/@]+$/.test(parsed.pathname)) return undefined;
  try {
    return {
      parsed,
      user: decodeURIComponent(parsed.username),
      password: decodeURIComponent(parsed.password),
      database: decodeURIComponent(parsed.pathname.slice(1)),
    };
  } catch {
    return undefined;
  }
}

function tlsOf(
  { sslmode, sslrootcert, sslcert, sslkey, sslpassword }: Parameters,
  readFile: (path: string) => string,
  problems: string[],
): TlsOptions | false {
  if (sslmode !== undefined && sslmode !== "disable" && !WITH_TLS.includes(sslmode)) {
    problems.push(
      "DATABASE_URL: its sslmode is not understood, expected verify-full (TLS, with the server's certificate and name " +
        "checked) or disable (no TLS)",
    );
    return false;
  }
  const files = { sslrootcert, sslcert, sslkey, sslpassword };
  if (sslmode === undefined || sslmode === "disable") {
    for (const [name, value] of Object.entries(files)) {
      if (value === undefined) continue;
      problems.push(`DATABASE_URL: has ${name}, expected only together with sslmode=verify-full`);
    }
    return false;
  }
  const labelled = (name: string) => `DATABASE_URL: ${name}`;
  const { tls, problems: found } = readTlsFiles({
    // libpq's name for the authorities that come with the system.
    authorities: {
      label: labelled("sslrootcert"),
      path: sslrootcert === "system" ? undefined : sslrootcert,
    },
    certificate: { label: labelled("sslcert"), path: sslcert },
    key: { label: labelled("sslkey"), path: sslkey },
    keyPassword: { label: labelled("sslpassword"), value: sslpassword },
  }, readFile);
  problems.push(...found);
  return tls;
}
