import { isIP } from "node:net";
import {
  type Environment,
  integer,
  optional,
  parseSettings,
  secret,
  setting,
  settingsError,
  text,
} from "../../_shared/env.ts";
import { readTlsFiles } from "../../_shared/tls_files.ts";
import { Proxies } from "./proxies.ts";

export const ACCESS_SETTINGS = {
  MONITOR_HOST: text({
    expected: "an IP address or host name to listen on",
    pattern: /^\S+$/,
    default: "127.0.0.1",
  }),
  MONITOR_PORT: integer({ min: 0, max: 65535, unit: "TCP port, 0 = any free one", default: 8787 }),
  MONITOR_ORIGIN: optional(setting({
    expected: "the address that people open, without a path, such as https://monitor.example.org",
  }, parseOrigin)),
  MONITOR_PASSWORD: optional(secret({ expected: "12 to 256 characters", pattern: /^.{12,256}$/su })),
  MONITOR_TLS_CERT_FILE: optional(text({ expected: "a PEM file with the certificate of the page" })),
  MONITOR_TLS_KEY_FILE: optional(text({ expected: "a PEM file with the key of the certificate" })),
  MONITOR_TRUSTED_PROXIES: optional(setting({
    expected: "IP addresses or CIDR ranges with commas between them, such as 10.0.0.5,fd00::/64",
  }, Proxies.parse)),
};

const LOOPBACK = Proxies.parse("127.0.0.0/8,::1/128");

export interface AccessSettings {
  /** The scheme, host and port that people open, if the server listens on this port. */
  readonly originAt: (port: number) => string;
  /** If undefined, the one-time address is the only way in. */
  readonly password: string | undefined;
  readonly proxies: Proxies | undefined;
  /** Refuse every peer that is not a proxy. */
  readonly onlyProxies: boolean;
}

/**
 * Other machines reach the page only with a password, and only by TLS or through a proxy.
 *
 * @throws UsageError with one line for each problem
 */
export function readAccess(program: string, env: Environment, readFile: (path: string) => string) {
  const parsed = parseSettings(program, ACCESS_SETTINGS, env, { readFile });
  const { MONITOR_HOST: host, MONITOR_PASSWORD: password, MONITOR_TRUSTED_PROXIES: proxies } = parsed;
  const problems: string[] = [];
  const tls = readTlsFiles(problems, readFile, {
    authorities: { label: "", path: undefined },
    certificate: { label: "MONITOR_TLS_CERT_FILE", path: parsed.MONITOR_TLS_CERT_FILE },
    key: { label: "MONITOR_TLS_KEY_FILE", path: parsed.MONITOR_TLS_KEY_FILE },
  });
  const { MONITOR_ORIGIN: origin } = parsed;
  const hasTls = (parsed.MONITOR_TLS_CERT_FILE ?? parsed.MONITOR_TLS_KEY_FILE) !== undefined;
  const hasProxies = proxies !== undefined;
  const isLocal = isLoopback(host);
  const isPublic = `other machines can reach MONITOR_HOST (${host})`;
  const { protocol, hostname } = new URL(origin ?? "http://localhost");
  const isHttp = protocol === "http:";
  const missing = "is missing, expected because";
  problems.push(...[
    password === undefined && !isLocal && `MONITOR_PASSWORD: ${missing} ${isPublic}`,
    password === undefined && isLocal && hasProxies &&
    `MONITOR_PASSWORD: ${missing} MONITOR_TRUSTED_PROXIES is set`,
    !isLocal && !hasTls && !hasProxies &&
    `MONITOR_TLS_CERT_FILE: ${missing} ${isPublic}, or set MONITOR_TRUSTED_PROXIES`,
    origin === undefined && hasProxies && `MONITOR_ORIGIN: ${missing} MONITOR_TRUSTED_PROXIES is set`,
    origin === undefined && !hasProxies && ["0.0.0.0", "::"].includes(host) &&
    `MONITOR_ORIGIN: ${missing} MONITOR_HOST is ${host}`,
    origin !== undefined && hasTls && isHttp &&
    `MONITOR_ORIGIN: is ${origin}, expected https because of MONITOR_TLS_CERT_FILE`,
    !isHttp && !hasTls && !hasProxies &&
    `MONITOR_ORIGIN: is ${origin}, expected http without MONITOR_TLS_CERT_FILE and MONITOR_TRUSTED_PROXIES`,
    // Otherwise the password would cross the network unencrypted.
    isHttp && !hasTls && !isLoopback(hostname) &&
    `MONITOR_ORIGIN: is ${origin}, expected https or a loopback address`,
  ].filter((problem) => problem !== false));
  if (problems.length > 0) throw settingsError(program, problems);
  const listened = `${hasTls ? "https" : "http"}://${isIP(host) === 6 ? `[${host}]` : host}`;
  const access: AccessSettings = {
    originAt: (port) => origin ?? new URL(`${listened}:${port}`).origin,
    password,
    proxies,
    onlyProxies: hasProxies && !hasTls,
  };
  return {
    // MONITOR_ORIGIN names the port, so people would not find the server on another one.
    server: { host, port: parsed.MONITOR_PORT, portIsFixed: Boolean(env.MONITOR_PORT || origin), tls },
    access,
    secrets: password === undefined ? [] : [password],
  };
}

/** @param host also the host in a URL, where brackets enclose an IPv6 address */
function isLoopback(host: string): boolean {
  const address = host.replace(/^\[(.*)\]$/, "$1");
  return host === "localhost" || LOOPBACK?.has(address) === true;
}

function parseOrigin(text: string): string | undefined {
  const url = URL.parse(text);
  const isOrigin = url !== null && /^https?:$/.test(url.protocol) && `${url.origin}/` === url.href;
  return isOrigin ? url.origin : undefined;
}
