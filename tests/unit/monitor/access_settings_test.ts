import { deepStrictEqual, match, ok, strictEqual, throws } from "node:assert";
import { generateKeyPairSync } from "node:crypto";
import { UsageError } from "../../../workers/_shared/errors.ts";
import { readAccess } from "../../../workers/monitor/access/settings.ts";
import { Authority } from "../../support/certificates.ts";

const PASSWORD = { MONITOR_PASSWORD: "correct horse battery" };
const TLS = { MONITOR_TLS_CERT_FILE: "/cert", MONITOR_TLS_KEY_FILE: "/key" };
const PROXIES = { MONITOR_TRUSTED_PROXIES: "10.0.0.5, fd00::/64" };
const { certificate, key } = new Authority("settings test").issue("monitor");
const FILES: Readonly<Record<string, string>> = {
  "/cert": certificate,
  "/key": key,
  "/password": "from a file 123\n",
};

const readFile = (path: string) => {
  const text = FILES[path];
  if (text === undefined) throw new Error("not found");
  return text;
};
const read = (env: Readonly<Record<string, string>>) => readAccess("monitor", env, readFile);

function problemsOf(env: Readonly<Record<string, string>>): readonly string[] {
  try {
    read(env);
  } catch (error) {
    if (error instanceof UsageError) return error.problems;
    throw error;
  }
  return [];
}

Deno.test("on loopback, no setting is needed, and a free port replaces 8787 only if no setting names it", () => {
  const { server, access, secrets } = read({});
  deepStrictEqual(server, { host: "127.0.0.1", port: 8787, portIsFixed: false, tls: {} });
  strictEqual(access.originAt(9000), "http://127.0.0.1:9000");
  deepStrictEqual([access.password, access.proxies, access.onlyProxies, secrets], [
    undefined,
    undefined,
    false,
    [],
  ]);
  for (const MONITOR_HOST of ["127.0.0.1", "127.8.9.10", "::1", "localhost"]) {
    deepStrictEqual(problemsOf({ MONITOR_HOST }), [], MONITOR_HOST);
  }
  strictEqual(read({ MONITOR_HOST: "::1" }).access.originAt(9000), "http://[::1]:9000");
  strictEqual(read({ MONITOR_PORT: "8787" }).server.portIsFixed, true);
  strictEqual(read({ MONITOR_ORIGIN: "http://localhost:8787" }).server.portIsFixed, true);
});

Deno.test("on another address, a password is required, and TLS files or a proxy", () => {
  for (
    const MONITOR_HOST of [
      "192.0.2.1",
      "2001:db8::1",
      "monitor.example.org",
      "128.0.0.1",
      "localhost.example.org",
    ]
  ) {
    const env = { MONITOR_HOST };
    deepStrictEqual(problemsOf(env), [
      `MONITOR_PASSWORD: is missing, expected because other machines can reach MONITOR_HOST (${MONITOR_HOST})`,
      "MONITOR_TLS_CERT_FILE: is missing, expected because other machines can reach " +
      `MONITOR_HOST (${MONITOR_HOST}), or set MONITOR_TRUSTED_PROXIES`,
    ]);
    strictEqual(problemsOf({ ...env, ...TLS }).length, 1);
    strictEqual(problemsOf({ ...env, ...PASSWORD }).length, 1);
    deepStrictEqual(problemsOf({ ...env, ...PASSWORD, ...TLS }), []);
    deepStrictEqual(
      problemsOf({ ...env, ...PASSWORD, ...PROXIES, MONITOR_ORIGIN: "https://monitor.example.org" }),
      [],
    );
  }
  const { access, server } = read({ MONITOR_HOST: "192.0.2.1", ...PASSWORD, ...TLS });
  strictEqual(access.originAt(443), "https://192.0.2.1");
  match(server.tls.cert ?? "", /BEGIN CERTIFICATE/);
});

Deno.test("a proxy on loopback also needs a password and the address that people open", () => {
  deepStrictEqual(problemsOf(PROXIES), [
    "MONITOR_PASSWORD: is missing, expected because MONITOR_TRUSTED_PROXIES is set",
    "MONITOR_ORIGIN: is missing, expected because MONITOR_TRUSTED_PROXIES is set",
  ]);
  const env = { ...PROXIES, ...PASSWORD, MONITOR_ORIGIN: "https://monitor.example.org" };
  const { access } = read(env);
  strictEqual(access.originAt(8787), "https://monitor.example.org");
  strictEqual(access.onlyProxies, true);
  ok(access.proxies?.has("10.0.0.5"));
  strictEqual(read({ ...env, ...TLS }).access.onlyProxies, false, "with TLS, other peers are served, too");
});

Deno.test("the address that people open must fit to the way in which they reach the page", () => {
  const at = (MONITOR_ORIGIN: string, env: Readonly<Record<string, string>> = {}) =>
    problemsOf({ ...env, MONITOR_ORIGIN });
  deepStrictEqual(problemsOf({ MONITOR_HOST: "0.0.0.0", ...PASSWORD, ...TLS }), [
    "MONITOR_ORIGIN: is missing, expected because MONITOR_HOST is 0.0.0.0",
  ]);
  match(
    at("http://a.example", { ...TLS, ...PASSWORD })[0] ?? "",
    /expected https because of MONITOR_TLS_CERT_FILE/,
  );
  match(at("https://127.0.0.1:8787")[0] ?? "", /expected http without MONITOR_TLS_CERT_FILE/);
  match(at("http://a.example", { ...PROXIES, ...PASSWORD })[0] ?? "", /expected https or a loopback address/);
  deepStrictEqual(at("http://127.0.0.1:8787", { MONITOR_HOST: "0.0.0.0", ...PROXIES, ...PASSWORD }), []);
  deepStrictEqual(at("http://[::1]:8787"), []);
  for (
    const malformed of [
      "monitor.example.org",
      "https://a.example/path",
      "https://u:p@a.example",
      "ftp://a",
      "https://",
    ]
  ) {
    match(
      at(malformed)[0] ?? "",
      /^MONITOR_ORIGIN: is ".*", expected the address that people open/,
      malformed,
    );
  }
  strictEqual(
    read({ ...TLS, MONITOR_ORIGIN: "https://Monitor.Example.org:443/" }).access.originAt(1),
    "https://monitor.example.org",
  );
});

Deno.test("one error names all problems, and no password", () => {
  throws(
    () => read({ MONITOR_HOST: "0.0.0.0", MONITOR_TLS_CERT_FILE: "/none", MONITOR_TLS_KEY_FILE: "/cert" }),
    {
      message: "Cannot start the monitor: 4 settings are wrong\n" +
        "  MONITOR_TLS_CERT_FILE: cannot read /none, expected a readable PEM file\n" +
        "  MONITOR_TLS_KEY_FILE: /cert has no readable private key, expected -----BEGIN PRIVATE KEY----- (PEM)\n" +
        "  MONITOR_PASSWORD: is missing, expected because other machines can reach MONITOR_HOST (0.0.0.0)\n" +
        "  MONITOR_ORIGIN: is missing, expected because MONITOR_HOST is 0.0.0.0",
    },
  );
  deepStrictEqual(
    problemsOf({ MONITOR_PASSWORD: "too short", MONITOR_PORT: "65536", MONITOR_TRUSTED_PROXIES: "a" }),
    [
      'MONITOR_PORT: is "65536", expected an integer from 0 to 65535 (TCP port, 0 = any free one)',
      "MONITOR_PASSWORD: is malformed (not shown), expected 12 to 256 characters",
      'MONITOR_TRUSTED_PROXIES: is "a", expected IP addresses or CIDR ranges with commas between them, such as 10.0.0.5,fd00::/64',
    ],
  );
  deepStrictEqual(problemsOf({ MONITOR_TLS_KEY_FILE: "/key" }), [
    "MONITOR_TLS_CERT_FILE: is missing, expected with MONITOR_TLS_KEY_FILE",
  ]);
});

Deno.test("the password may come from a file, and is hidden in the log", () => {
  const { access, secrets } = read({ MONITOR_PASSWORD_FILE: "/password" });
  deepStrictEqual([access.password, secrets], ["from a file 123", ["from a file 123"]]);
});

Deno.test("an encrypted TLS key is refused", () => {
  const { privateKey } = generateKeyPairSync("ec", {
    namedCurve: "P-256",
    publicKeyEncoding: { type: "spki", format: "pem" },
    privateKeyEncoding: { type: "pkcs8", format: "pem", cipher: "aes-256-cbc", passphrase: "x" },
  });
  const files: Readonly<Record<string, string>> = { ...FILES, "/encrypted": privateKey };
  throws(
    () =>
      readAccess(
        "monitor",
        { ...TLS, MONITOR_TLS_KEY_FILE: "/encrypted" },
        (path) => files[path] ?? "",
      ),
    /MONITOR_TLS_KEY_FILE: the key in \/encrypted is encrypted, expected a key without a password/,
  );
});
