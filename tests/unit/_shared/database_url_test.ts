import { deepStrictEqual, doesNotMatch, match, ok, strictEqual } from "node:assert";
import { createPrivateKey } from "node:crypto";
import { databaseAddress } from "../../../workers/_shared/database_url.ts";
import { UsageError } from "../../../workers/_shared/errors.ts";
import { Authority } from "../../support/certificates.ts";

const authority = new Authority("authority");
const clientCertificate = authority.issue("clientCertificate");
const other = authority.issue("other");
const encrypted = createPrivateKey(clientCertificate.key)
  .export({ type: "pkcs8", format: "pem", cipher: "aes-256-cbc", passphrase: "sesame" }).toString();
const FILES: Readonly<Record<string, string>> = {
  "/ca": authority.certificate,
  "/cert": clientCertificate.certificate,
  "/key": clientCertificate.key,
  "/other.key": other.key,
  "/encrypted.key": encrypted,
  "/junk": "no certificate",
};

function readFile(path: string): string {
  const text = FILES[path];
  if (text === undefined) throw new Deno.errors.NotFound(path);
  return text;
}

function parse(url: string) {
  return databaseAddress("tester", url, readFile);
}

function problems(run: () => unknown): readonly string[] {
  try {
    run();
  } catch (error) {
    ok(error instanceof UsageError);
    return error.problems;
  }
  return [];
}

Deno.test("databaseAddress() decodes the parts of a URL and returns both forms of the password as secrets", () => {
  const { target, client, secrets } = parse(
    "postgres://me:p%40ss@db.example:6000/heart%20beat?application_name=x",
  );
  strictEqual(target, "db.example:6000/heart beat");
  deepStrictEqual(client, {
    host: "db.example",
    port: 6000,
    database: "heart beat",
    user: "me",
    password: "p@ss",
    application_name: "x",
    ssl: false,
  });
  deepStrictEqual(secrets, ["p%40ss", "p@ss"]);
});

Deno.test("databaseAddress() verifies the server's certificate and name for every sslmode that uses TLS", () => {
  for (const mode of ["require", "verify-ca", "verify-full"]) {
    const { client } = parse(`postgres://a:b@c/d?sslmode=${mode}&sslrootcert=/ca`);
    deepStrictEqual(client.ssl, { ca: authority.certificate }, mode);
  }
  deepStrictEqual(parse("postgres://a:b@c/d?sslmode=verify-full&sslrootcert=system").client.ssl, {});
});

Deno.test("databaseAddress() accepts the URLs that database providers show, or names the parameter that it refuses", () => {
  // The providers are Neon, Supabase (session and transaction pooler), Heroku, Azure, Amazon RDS, Google, DigitalOcean,
  // Prisma and Vercel. Undefined means that the URL is accepted.
  const providerUrls: Readonly<Record<string, RegExp | undefined>> = {
    "u:p@ep-cool-1.eu.aws.neon.tech/neondb?sslmode=require&channel_binding=require":
      /its channel_binding asks/,
    "u:p@ep-cool-1.eu.aws.neon.tech/neondb?sslmode=require": undefined,
    "postgres.ref:p@aws-0-eu.pooler.supabase.com:5432/postgres": undefined,
    "postgres.ref:p@aws-0-eu.pooler.supabase.com:6543/postgres?pgbouncer=true":
      /has pgbouncer, .*pool_mode=session/,
    "u:p@ec2-1.compute.amazonaws.com:5432/d4": undefined,
    "u%40server:p@server.postgres.database.azure.com/postgres?sslmode=require": undefined,
    "u:p@db.eu.rds.amazonaws.com:5432/d?sslmode=verify-full&sslrootcert=/ca": undefined,
    "u:p@db/d?host=/cloudsql/project:region:instance": /names a Unix socket/,
    "u:p@db.ondigitalocean.com:25060/d?sslmode=require&target_session_attrs=read-write": undefined,
    "u:p@db/d?schema=public&connection_limit=1":
      /does not understand the parameter schema and connection_limit,/,
    "u:p@db/d?sslmode=require&supa=base-pooler.x": /does not understand the parameter supa,/,
    "u:p@db/d?connect_timeout=10&application_name=x&options=-c%20geqo%3Doff": undefined,
    "u:p@db/d?sslmode=verify-full&sslrootcert=system": undefined,
  };
  for (const [url, expected] of Object.entries(providerUrls)) {
    const reported = problems(() => parse(`postgresql://${url}`));
    strictEqual(reported.length, expected === undefined ? 0 : 1, `${url}: ${reported}`);
    match(reported[0] ?? "", expected ?? /^$/, url);
  }
});

Deno.test("databaseAddress() honours connect_timeout and target_session_attrs", () => {
  const { client, sessionAttributes } = parse(
    "postgres://a:b@c/d?connect_timeout=7&target_session_attrs=primary",
  );
  strictEqual(client.connectionTimeoutMillis, 7_000);
  strictEqual(sessionAttributes, "primary");
  strictEqual(parse("postgres://a:b@c/d").sessionAttributes, "any");
  strictEqual(parse("postgres://user:p,ss@[::1]:5433/database").target, "::1:5433/database");
});

const REFUSED: readonly (readonly [expected: RegExp, urls: readonly string[]])[] = [
  [/its sslmode is not understood/, ["sslmode=prefer", "sslmode=allow", "sslmode=no-verify"].map(withSearch)],
  [/does not understand the parameter/, ["ssl_mode=verify-full", "ssl=true"].map(withSearch)],
  [/has sslrootcert, expected only together with sslmode=verify-full/, ["sslrootcert=/ca"].map(withSearch)],
  [
    /its target_session_attrs is not understood/,
    ["standby", "prefer-standby", ""].map((value) => withSearch(`target_session_attrs=${value}`)),
  ],
  [/its connect_timeout is not/, ["0", "11", "1s"].map((value) => withSearch(`connect_timeout=${value}`))],
  [/its channel_binding asks/, ["require", "REQUIRE"].map((value) => withSearch(`channel_binding=${value}`))],
  [/names a Unix socket, expected a host name or an IP address/, [
    "postgres:///db?host=/var/run/postgresql",
    withSearch("host=@abstract"),
    "postgres://a:b@%2Fvar%2Frun%2Fpostgresql/d",
  ]],
  [/names no host, expected/, ["postgres:///db"]],
  [/is malformed/, ["postgres://a:b@c:99999/d"]],
  // libpq accepts a list of hosts. The client library would look up one host of that name.
  [/names several hosts, expected one: .* the address of a proxy/, [
    "postgres://user:password@one:5432,two:5432/database",
    "postgres://one,two/database?target_session_attrs=read-write",
    "postgres://one/database?host=one,two",
  ]],
];

function withSearch(search: string): string {
  return `postgres://a:b@c/d?${search}`;
}

for (const [expected, urls] of REFUSED) {
  Deno.test(`databaseAddress() refuses a URL with an error that matches "${expected.source}"`, () => {
    for (const url of urls) {
      const reported = problems(() => parse(url));
      strictEqual(reported.length, 1, `${url}: ${reported}`);
      match(reported[0] ?? "", expected, url);
    }
  });
}

Deno.test("databaseAddress() names an unknown parameter only if it cannot be part of a password", () => {
  const [named = ""] = problems(() => parse("postgres://a:b@c/d?passfile=sesame"));
  match(named, /the parameter passfile,/);
  doesNotMatch(named, /sesame/);
  for (
    const url of [
      "postgres://me:1/2?sesame@db/x",
      "postgres://me:1/2?sesame=3@db/x",
      "postgres://a:b@c/d?s%20e=1",
    ]
  ) {
    const [hidden = ""] = problems(() => parse(url));
    match(hidden, /\(not shown\)/, url);
    doesNotMatch(hidden, /sesame|s e/, url);
  }
});

Deno.test("databaseAddress() refuses a parameter that occurs twice, because one value would be ignored silently", () => {
  for (const search of ["sslmode=verify-full&sslmode=disable", "sslmode=disable&sslmode=verify-full"]) {
    deepStrictEqual(problems(() => parse(`postgres://a:b@c/d?${search}`)), [
      "DATABASE_URL: has sslmode more than once, expected each parameter once",
    ]);
  }
  const [twice] = problems(() => parse("postgres://a:b@c/d?host=x&host=y&options=&options="));
  match(twice ?? "", /has host and options more than once/);
});

Deno.test("databaseAddress() shows no part of a password that is not percent-encoded", () => {
  const urls = ["pa#ss", "pa/ss", "pa?ss", "1/2", "12?x", "%zz", "1#2"].map((password) =>
    `postgres://me:${password}@db/x`
  );
  for (const url of urls) {
    const [problem = "", ...more] = problems(() => parse(url));
    deepStrictEqual(more, [], url);
    match(problem, /\(not shown\)/, url);
    doesNotMatch(problem, /pa[#/?]|%zz|@db/, url);
  }
});

Deno.test("databaseAddress() reports an unusable certificate, key or key password, each with its own message", () => {
  const reported = (search: string) =>
    problems(() => parse(withSearch(`sslmode=verify-full&${search}`))).join();
  const expected: Readonly<Record<string, RegExp>> = {
    "sslrootcert=/none": /sslrootcert: cannot read \/none, expected a readable PEM file/,
    "sslrootcert=/junk": /sslrootcert: \/junk has no readable certificate/,
    "sslcert=/cert": /sslkey: is missing, expected with/,
    "sslkey=/key": /sslcert: is missing, expected with/,
    "sslcert=/cert&sslkey=/junk": /sslkey: \/junk has no readable private key/,
    "sslcert=/cert&sslkey=/other.key": /sslkey: does not belong to the certificate in \/cert/,
    "sslcert=/cert&sslkey=/encrypted.key": /sslpassword: is missing, expected since the key/,
  };
  for (const [search, problem] of Object.entries(expected)) match(reported(search), problem);
  const wrong = reported("sslcert=/cert&sslkey=/encrypted.key&sslpassword=wr0ng");
  match(wrong, /sslpassword: does not open the key in \/encrypted.key \(not shown\)/);
  doesNotMatch(wrong, /wr0ng/);
  strictEqual(reported("sslcert=/cert&sslkey=/encrypted.key&sslpassword=sesame"), "");
});
