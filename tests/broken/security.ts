/** Broken builds of what keeps others out and secrets in. */
import type { BrokenBuild } from "./broken_build.ts";

const HEALTH = "tests/security/health_port_test.ts";
const EXCESS = "tests/integration/role_excess_test.ts";
const BROUGHT_BACK =
  "roles that were given more are brought back to their rights and settings, or it is said what a superuser has to do";
const LOCKS =
  "a reader who keeps every lock that it can get stops neither migrations nor partitions nor writing";
const WRONG_KAFKA =
  "whatever is wrong towards Kafka, every worker says what to do, shows no secret and writes nothing";
const WRONG_POSTGRES =
  "whatever is wrong towards PostgreSQL, every worker says what to do, shows no secret and writes nothing";

export const BROKEN_BUILDS: readonly BrokenBuild[] = [
  {
    breaks: "the certificate of PostgreSQL is not checked",
    edits: [{
      file: "workers/_shared/database_url.ts",
      find: "  problems.push(...found);\n  return tls;",
      replace: "  problems.push(...found);\n  return { ...tls, rejectUnauthorized: false } as TlsOptions;",
    }],
    test: { file: "tests/security/postgres_test.ts", name: WRONG_POSTGRES },
  },
  {
    breaks: "of a parameter that DATABASE_URL has twice the last counts",
    edits: [{
      file: "workers/_shared/database_url.ts",
      find: "if (repeated.length > 0) {",
      replace: "if (repeated.length > PARAMETERS.length) {",
    }],
    test: {
      file: "tests/unit/_shared/database_url_test.ts",
      name: "databaseAddress() refuses a parameter that is there twice: one of them would count in silence",
    },
  },
  {
    breaks: "the name in the certificate of a broker is not checked",
    edits: [{
      file: "workers/_shared/kafka/client.ts",
      find: "...(tls === undefined ? {} : { tls }),",
      replace: "...(tls === undefined ? {} : { tls: { ...tls, checkServerIdentity: () => undefined } }),",
    }],
    test: { file: "tests/security/kafka_test.ts", name: WRONG_KAFKA },
  },
  {
    breaks: "a refused login is retried for ever without saying what to do",
    edits: [{
      file: "workers/_shared/kafka/client.ts",
      find: "sign: /SASL_AUTHENTICATION_FAILED|authentication failed/i,",
      replace: "sign: /SASL_AUTHENTICATION_FAILURE/,",
    }],
    test: {
      file: "tests/security/kafka_test.ts",
      name:
        "a password of Kafka that changes while the consumer runs is said in readiness, and all goes on once it is right",
    },
  },
  {
    breaks: "the key's password is passed on to TLS, which takes none, instead of opening the key",
    edits: [{
      file: "workers/_shared/tls_files.ts",
      find: `: { key: privateKey.export({ type: "pkcs8", format: "pem" }).toString() }),`,
      replace: ": { key: keyText as string }),",
    }],
    test: {
      file: "tests/security/kafka_test.ts",
      name: "every worker does its work with mutual TLS, its key encrypted and the key's password in a file",
    },
  },
  {
    breaks: "the health port waits for a request that does not end",
    edits: [{
      file: "workers/_shared/health.ts",
      find: "requestTimeoutMs: 5_000,",
      replace: "requestTimeoutMs: 0,",
    }],
    test: {
      file: HEALTH,
      name: "clients that never finish their request are sent away, however many, and others are answered",
    },
  },
  {
    breaks: "the health port keeps as many connections as come",
    edits: [{
      file: "workers/_shared/health.ts",
      find: "connections: 64,",
      replace: "connections: 100_000,",
    }],
    test: {
      file: HEALTH,
      name: "of those who take their time only 64 are waited for: beyond that the oldest has to go",
    },
  },
  {
    breaks: "the health port sends the same one away twice, when two come before it is gone",
    edits: [{
      file: "workers/_shared/health.ts",
      find: "    open.delete(oldest);\n",
      replace: "",
    }],
    test: { file: HEALTH, name: "of those who come at once no more than 64 are waited for either" },
  },
  {
    breaks: "the health port takes requests as large as Node's own limit",
    edits: [{
      file: "workers/_shared/health.ts",
      find: "    maxHeaderSize: limits.requestBytes,\n",
      replace: "",
    }],
    test: {
      file: HEALTH,
      name: "the health port refuses what is no request, or too large a one, and reads no body",
    },
  },
  {
    breaks: "the health port answers every method",
    edits: [{
      file: "workers/_shared/health.ts",
      find: `method !== "GET" && method !== "HEAD"`,
      replace: `method === "DELETE"`,
    }],
    test: {
      file: HEALTH,
      name: "the health port answers GET and HEAD, closes after each answer, and nothing else",
    },
  },
  {
    breaks: "a secret in another encoding is not hidden",
    edits: [{
      file: "workers/_shared/secrets.ts",
      find: "encodeURIComponent(secret.toWellFormed()),",
      replace: "",
    }],
    test: { file: HEALTH, name: "a reason in readiness shows no secret, however a server wrote it" },
  },
  {
    breaks: "of two secrets that begin alike the shorter is hidden, and the other's rest is told",
    edits: [{
      file: "workers/_shared/secrets.ts",
      find: "([, a], [, b]) => b - a",
      replace: "([, a], [, b]) => a - b",
    }],
    test: {
      file: "tests/unit/_shared/secrets_test.ts",
      name: "Secrets.redact() leaves no rest of a secret that begins, ends or goes on in another",
    },
  },
  {
    breaks: "only control characters of ASCII are escaped",
    edits: [{
      file: "workers/_shared/printable.ts",
      find: String.raw`/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu`,
      replace: String.raw`/[\0-\x1f]/gu`,
    }],
    test: {
      file: "tests/unit/_shared/printable_test.ts",
      name: "printable() writes what moves or misleads a reader as an escape, and JSON stays the same JSON",
    },
  },
  {
    breaks: "a worker may run programs",
    edits: [{
      file: "deno.json",
      find: `    "consumer": {
      "net": true,`,
      replace: `    "consumer": {
      "run": true,
      "net": true,`,
    }],
    test: {
      file: "tests/security/permissions_test.ts",
      name: "each worker's permissions refuse files, programs, libraries and other people's variables",
    },
  },
  {
    breaks: "the producer may read the database's password, which it has no use for",
    edits: [{
      file: "deno.json",
      find: `    "producer": {
      "net": true,
      "read": true,
      "env": {
        "allow": [`,
      replace: `    "producer": {
      "net": true,
      "read": true,
      "env": {
        "allow": [
          "DATABASE_URL",`,
    }],
    test: {
      file: "tests/unit/permissions_test.ts",
      name: "the producer may read exactly the variables that it has settings for",
    },
  },
  {
    breaks: "the bill of materials has no hashes of jars",
    edits: [{
      file: "tools/supply_chain/bill_of_materials.ts",
      find: `    jar.hashes.set(Enums.HashAlgorithm["SHA-512"], sha512(path));\n`,
      replace: "",
    }],
    test: {
      file: "tests/security/supply_chain_test.ts",
      name:
        "the bill of materials has every locked package and every jar, with hashes, and is valid CycloneDX",
    },
  },
  {
    breaks: "a registry that does not answer counts as one that knows no vulnerability",
    edits: [{ file: "tools/supply_chain/audit.ts", find: "return NOT_ASKED;", replace: "return 0;" }],
    test: {
      file: "tests/security/audit_test.ts",
      name: "the audit says that it could not ask, which is neither green nor a vulnerability",
    },
  },
  {
    breaks: "the writer is given the owner's rights",
    edits: [{
      file: "workers/consumer/schema/roles.ts",
      find: `"grant select, insert on public.heartbeats to heartbeat_writer",`,
      replace: `"grant select, insert, delete on public.heartbeats to heartbeat_writer",`,
    }],
    test: {
      file: "tests/integration/roles_test.ts",
      name: "the writer may not change the schema, take rows away, or see what it does not need",
    },
  },
  {
    breaks: "a line of JSON is written as JSON.stringify() leaves it",
    edits: [{
      file: "workers/_shared/telemetry.ts",
      find: "printable(secrets.redact(format(service, record)))",
      replace: "secrets.redact(format(service, record))",
    }],
    test: {
      file: "tests/security/log_test.ts",
      name: "hostile customers, keys and details are stored as text, and an event stays one line of JSON",
    },
  },
  {
    breaks: "a role keeps the attributes and the roles that it was given",
    edits: [{
      file: "workers/consumer/schema/roles.ts",
      find: "await takeExcess(session, name);",
      replace: "",
    }],
    test: { file: EXCESS, name: BROUGHT_BACK },
  },
  {
    breaks: "a role keeps the settings that it was given",
    edits: [{
      file: "workers/consumer/schema/roles.ts",
      find: "alter role ${name} in database ${database} reset all;",
      replace: "",
    }],
    test: { file: EXCESS, name: BROUGHT_BACK },
  },
  {
    breaks: "a membership that the owner cannot revoke is left without a word",
    edits: [{
      file: "workers/consumer/schema/role_excess.ts",
      find: "if (left.length === 0) return;",
      replace: "if (left.length >= 0) return;",
    }],
    test: { file: EXCESS, name: BROUGHT_BACK },
  },
  {
    breaks: "partitions are made under a lock that anybody may keep",
    edits: [{
      file: "migrations/0007_lock_partitions_briefly.sql",
      find: "execute format('lock table only %s in share update exclusive mode', parent);\n  end loop;",
      replace: "perform pg_advisory_xact_lock(7521419864366932341);\n  end loop;",
    }],
    test: { file: EXCESS, name: LOCKS },
  },
  {
    breaks: "the schema is changed under a lock that anybody may keep",
    edits: [{
      file: "workers/consumer/schema/migrate.ts",
      find: `"lock table public.schema_migrations in share row exclusive mode"`,
      replace: `"select pg_advisory_xact_lock(7521419864366932340)"`,
    }],
    test: { file: EXCESS, name: LOCKS },
  },
];
