/** DATABASE_URL: what it means, and everything that is wrong with it told at the start and without its secrets. */
import { type Environment, parseSettings, secret, settingsError } from "./env.ts";
import { readTlsFiles, type TlsOptions } from "./tls_files.ts";

export const DATABASE_URL = secret({
  expected: "postgres://user:password@host:5432/database",
  pattern: /^postgres(ql)?:\/\/[^\s]+$/,
});

/**
 * Understood after the question mark, by libpq's names. Anything else is refused: a misspelt sslmode would be a
 * connection without TLS.
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
/** What a connection must be good for. */
export type SessionAttributes = (typeof SESSION_ATTRIBUTES)[number];

/** A longer wait for a connection would let the attempt take longer than liveness allows. */
const MAX_CONNECT_TIMEOUT_S = 10;

/** libpq takes a list; the client library would look for a host of that name. */
const SEVERAL_HOSTS =
  "names several hosts, expected one: for a pair that fails over, the address of a proxy or a virtual IP";

/** Prisma's and Supabase's mark of a pooler that changes the session between two transactions. */
const TRANSACTION_POOLER =
  "has pgbouncer, the mark of a pooler in transaction mode, expected the address of the " +
  "server itself or of a pooler with pool_mode=session, without this parameter";

/** Reads DATABASE_URL, or the file that holds it, and what it names. @throws UsageError as `databaseAddress` does */
export function readDatabaseAddress(program: string, env: Environment, readFile: (path: string) => string) {
  const { DATABASE_URL: url } = parseSettings(program, { DATABASE_URL }, env, { readFile });
  return databaseAddress(program, url, readFile);
}

/**
 * Reads the URL and the certificates that it names. The `target` is for messages: it has no password. The `secrets` are the
 * passwords as they stand there and as they are meant: an error may carry either.
 *
 * @throws UsageError with a line for each thing that is wrong, none of which shows a secret
 */
export function databaseAddress(program: string, url: string, readFile: (path: string) => string) {
  const problems: string[] = [];
  const parts = splitUrl(url);
  const several = /^postgres(ql)?:\/\/([^\s/?]*@)?[^\s@/?]*,[^\s@/?]*([/?]|$)/.test(url);
  if (several || parts === undefined) {
    // A character of the password that was not written as %XX ends it early, and the rest would be shown as something else.
    const malformed = "is malformed (not shown), expected postgres://user:password@host:5432/database " +
      "with %XX for special characters in user and password";
    throw settingsError(program, [`DATABASE_URL: ${several ? SEVERAL_HOSTS : malformed}`]);
  }
  const { parsed, user, password, database } = parts;
  const parameters: Parameters = Object.fromEntries(parsed.searchParams);
  const host = parameters.host ?? parsed.hostname.replace(/^\[(.*)\]$/, "$1");
  refuse(
    problems,
    ...parameterProblems([...parsed.searchParams.keys()], parsed.search),
    host.includes(",") && SEVERAL_HOSTS,
    host === "" && "names no host, expected postgres://user:password@host:5432/database",
    // Deno lets a program open one only with the right to write files, which the workers do not have.
    /^(\/|@|%2f|%40)/i.test(host) &&
      "names a Unix socket, expected a host name or an IP address, such as 127.0.0.1",
  );
  const ssl = tlsOf(parameters, readFile, problems);
  const { sessionAttributes, connectTimeoutMs } = sessionOf(parameters, problems);
  if (problems.length > 0) throw settingsError(program, problems);
  const port = Number(parsed.port || 5432);
  const { options, application_name, sslpassword = "" } = parameters;
  return {
    target: `${host}:${port}/${database}`,
    client: {
      host,
      port,
      database,
      user,
      password,
      ...(options === undefined ? {} : { options }),
      ...(application_name === undefined ? {} : { application_name }),
      ...(connectTimeoutMs === undefined ? {} : { connectionTimeoutMillis: connectTimeoutMs }),
      ssl,
    },
    sessionAttributes,
    secrets: [parsed.password, password, sslpassword].filter((one) => one !== ""),
  };
}

function splitUrl(url: string) {
  const parsed = URL.parse(url);
  if (parsed === null || parsed.hash !== "" || !/^\/[^/@]+$/.test(parsed.pathname)) return undefined;
  try {
    const parts = [parsed.username, parsed.password, parsed.pathname.slice(1)] as const;
    const [user = "", password = "", database = ""] = parts.map(decodeURIComponent);
    return { parsed, user, password, database };
  } catch {
    return undefined;
  }
}

/** @param search the query as it was written */
function parameterProblems(names: readonly string[], search: string) {
  const unknown = new Set(names.filter((name) => !(PARAMETERS as readonly string[]).includes(name)));
  const transactionPooler = unknown.delete("pgbouncer") && TRANSACTION_POOLER;
  // An @ means that the "query" may begin inside a password with an unencoded question mark.
  const shown = !search.includes("@") && [...unknown].every((name) => /^[A-Za-z][\w.-]{0,62}$/.test(name));
  const what = shown
    ? `does not understand the parameter ${[...unknown].join(" and ")}`
    : "has a parameter that is not understood (not shown)";
  // Of two the last would count: a second sslmode could take TLS away that the first asks for.
  const repeated = PARAMETERS.filter((name) => names.indexOf(name) !== names.lastIndexOf(name));
  return [
    transactionPooler,
    unknown.size > 0 && `${what}, expected only ${PARAMETERS.join(", ")}`,
    repeated.length > 0 && `has ${repeated.join(" and ")} more than once, expected each parameter once`,
  ];
}

/** What a session must be good for, and how long its beginning may take. */
function sessionOf(
  { connect_timeout, target_session_attrs = "any", channel_binding = "prefer" }: Parameters,
  problems: string[],
) {
  const sessionAttributes = SESSION_ATTRIBUTES.find((one) => one === target_session_attrs) ?? "any";
  const seconds = /^\d{1,3}$/.test(connect_timeout ?? "") ? Number(connect_timeout) : 0;
  refuse(
    problems,
    sessionAttributes !== target_session_attrs &&
      `its target_session_attrs is not understood, expected ${SESSION_ATTRIBUTES.join(", ")}`,
    !["disable", "prefer"].includes(channel_binding) &&
      "its channel_binding asks for what the client library cannot promise, expected disable or prefer; " +
        "leave it out, sslmode=verify-full proves by its certificate that the server is the right one",
    connect_timeout !== undefined && !(seconds >= 1 && seconds <= MAX_CONNECT_TIMEOUT_S) &&
      `its connect_timeout is not understood, expected an integer from 1 to ${MAX_CONNECT_TIMEOUT_S} (seconds)`,
  );
  return { sessionAttributes, connectTimeoutMs: seconds === 0 ? undefined : seconds * 1000 };
}

function tlsOf(
  { sslmode = "disable", sslrootcert, sslcert, sslkey, sslpassword }: Parameters,
  readFile: (path: string) => string,
  problems: string[],
): TlsOptions | false {
  if (!WITH_TLS.includes(sslmode)) {
    refuse(
      problems,
      sslmode !== "disable" &&
        "its sslmode is not understood, expected verify-full (TLS, with the server's certificate and name " +
          "checked) or disable (no TLS)",
      ...Object.entries({ sslrootcert, sslcert, sslkey, sslpassword }).map(([name, value]) =>
        sslmode === "disable" && value !== undefined &&
        `has ${name}, expected only together with sslmode=verify-full`
      ),
    );
    return false;
  }
  return readTlsFiles(problems, readFile, {
    // libpq's name for the authorities that come with the system.
    authorities: {
      label: "DATABASE_URL: sslrootcert",
      path: sslrootcert === "system" ? undefined : sslrootcert,
    },
    certificate: { label: "DATABASE_URL: sslcert", path: sslcert },
    key: { label: "DATABASE_URL: sslkey", path: sslkey },
    keyPassword: { label: "DATABASE_URL: sslpassword", value: sslpassword },
  });
}

function refuse(problems: string[], ...found: readonly (string | false)[]): void {
  for (const why of found) if (why !== false) problems.push(`DATABASE_URL: ${why}`);
}
