/** Reads DATABASE_URL. Finds all its problems at the start and reports them without its secrets. */
import { type Environment, parseSettings, secret, settingsError } from "./env.ts";
import { readTlsFiles, type TlsOptions } from "./tls_files.ts";

export const DATABASE_URL = secret({
  expected: "postgres://user:password@host:5432/database",
  pattern: /^postgres(ql)?:\/\/[^\s]+$/,
});

/** The names are libpq's. Other names are refused, because a misspelled `sslmode` would mean a connection without TLS. */
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

/** libpq checks less with the first two. Here all three check the certificate and the host name. */
const WITH_TLS = ["require", "verify-ca", "verify-full"];

/** libpq's other values ask for a standby, or choose among several hosts. */
const SESSION_ATTRIBUTES = ["any", "read-write", "primary"] as const;
export type SessionAttributes = (typeof SESSION_ATTRIBUTES)[number];

/** The time to connect counts towards the 30 s after which liveness fails. */
const MAX_CONNECT_TIMEOUT_S = 10;

/** libpq accepts a list of hosts. The client library would take the list for one host name. */
const SEVERAL_HOSTS =
  "names several hosts, expected one: for a pair that fails over, the address of a proxy or a virtual IP";

/** Prisma and Supabase add `pgbouncer` to the URL of a pooler in transaction mode. */
const TRANSACTION_POOLER =
  "has pgbouncer, the mark of a pooler in transaction mode, expected the address of the " +
  "server itself or of a pooler with pool_mode=session, without this parameter";

export function readDatabaseAddress(program: string, env: Environment, readFile: (path: string) => string) {
  const { DATABASE_URL: url } = parseSettings(program, { DATABASE_URL }, env, { readFile });
  return databaseAddress(program, url, readFile);
}

/**
 * @returns `target` for messages, without the password; `secrets` with each password as written and as decoded
 * @throws UsageError with one line for each problem of the URL and of the certificates that it names
 */
export function databaseAddress(program: string, url: string, readFile: (path: string) => string) {
  const problems: string[] = [];
  const parts = splitUrl(url);
  const hasSeveralHosts = /^postgres(ql)?:\/\/([^\s/?]*@)?[^\s@/?]*,[^\s@/?]*([/?]|$)/.test(url);
  if (hasSeveralHosts || parts === undefined) {
    // The URL is not shown: after a special character that is not encoded, the rest of the password looks like another part.
    const malformed = "is malformed (not shown), expected postgres://user:password@host:5432/database " +
      "with %XX for special characters in user and password";
    throw settingsError(program, [`DATABASE_URL: ${hasSeveralHosts ? SEVERAL_HOSTS : malformed}`]);
  }
  const { parsed, user, password, database } = parts;
  const parameters: Parameters = Object.fromEntries(parsed.searchParams);
  const host = parameters.host ?? parsed.hostname.replace(/^\[(.*)\]$/, "$1");
  addProblems(
    problems,
    ...parameterProblems([...parsed.searchParams.keys()], parsed.search),
    host.includes(",") && SEVERAL_HOSTS,
    host === "" && "names no host, expected postgres://user:password@host:5432/database",
    // Deno opens a Unix socket only with permission to write files, which the workers do not have.
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
    secrets: [parsed.password, password, sslpassword].filter((text) => text !== ""),
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

function parameterProblems(names: readonly string[], search: string) {
  const unknown = new Set(names.filter((name) => !(PARAMETERS as readonly string[]).includes(name)));
  const transactionPooler = unknown.delete("pgbouncer") && TRANSACTION_POOLER;
  // A query with an @ may be the end of a password that contains a question mark.
  const isPublic = !search.includes("@") && [...unknown].every((name) => /^[A-Za-z][\w.-]{0,62}$/.test(name));
  const problem = isPublic
    ? `does not understand the parameter ${[...unknown].join(" and ")}`
    : "has a parameter that is not understood (not shown)";
  // The last value would win: a second sslmode could turn off the TLS that the first one asks for.
  const repeated = PARAMETERS.filter((name) => names.indexOf(name) !== names.lastIndexOf(name));
  return [
    transactionPooler,
    unknown.size > 0 && `${problem}, expected only ${PARAMETERS.join(", ")}`,
    repeated.length > 0 && `has ${repeated.join(" and ")} more than once, expected each parameter once`,
  ];
}

function sessionOf(
  { connect_timeout, target_session_attrs = "any", channel_binding = "prefer" }: Parameters,
  problems: string[],
) {
  const sessionAttributes = SESSION_ATTRIBUTES.find((known) => known === target_session_attrs) ?? "any";
  const seconds = /^\d{1,3}$/.test(connect_timeout ?? "") ? Number(connect_timeout) : 0;
  addProblems(
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
    addProblems(
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
    authorities: {
      label: "DATABASE_URL: sslrootcert",
      // libpq's name for the certificate authorities of the system.
      path: sslrootcert === "system" ? undefined : sslrootcert,
    },
    certificate: { label: "DATABASE_URL: sslcert", path: sslcert },
    key: { label: "DATABASE_URL: sslkey", path: sslkey },
    keyPassword: { label: "DATABASE_URL: sslpassword", value: sslpassword },
  });
}

function addProblems(problems: string[], ...candidates: readonly (string | false)[]): void {
  for (const problem of candidates) if (problem !== false) problems.push(`DATABASE_URL: ${problem}`);
}
