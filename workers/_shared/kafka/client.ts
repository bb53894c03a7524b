import type { Base, BaseOptions } from "@platformatic/kafka";
import { choice, type Environment, optional, parseSettings, secret, settingsError, text } from "../env.ts";
import { describeError, findInCauses, PipelineError } from "../errors.ts";
import "./client_patches.ts";
import { readTlsFiles, type TlsOptions } from "../tls_files.ts";

const SERVER = "(?:[^\\s,:[\\]]+|\\[[0-9a-fA-F:.]+\\]):\\d{1,5}";

export const KAFKA_SETTINGS = {
  KAFKA_BOOTSTRAP_SERVERS: text({
    expected: "host:port or [IPv6 address]:port, several separated by commas",
    pattern: new RegExp(`^${SERVER}(\\s*,\\s*${SERVER})*$`),
    default: "127.0.0.1:9092",
  }),
  KAFKA_TOPIC: text({
    expected: "a topic name: 1 to 249 letters, digits, dots, underscores or hyphens",
    pattern: /^[a-zA-Z0-9._-]{1,249}$/,
    default: "heartbeats",
  }),
  KAFKA_SECURITY_PROTOCOL: choice(["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"], "PLAINTEXT"),
  KAFKA_SASL_MECHANISM: choice(["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"], "SCRAM-SHA-512"),
  KAFKA_SASL_USERNAME: optional(text({ expected: "the SASL user" })),
  KAFKA_SASL_PASSWORD: optional(secret({ expected: "the SASL password" })),
  KAFKA_SSL_CA_FILE: optional(text({ expected: "a PEM file with the authorities to trust" })),
  KAFKA_SSL_CERT_FILE: optional(text({ expected: "a PEM file with the client's certificate" })),
  KAFKA_SSL_KEY_FILE: optional(text({ expected: "a PEM file with the client's private key" })),
  KAFKA_SSL_KEY_PASSWORD: optional(secret({ expected: "the password of an encrypted private key" })),
};

export type KafkaConnection = Readonly<ReturnType<typeof kafkaConnection>>;

/**
 * @param clientId the name of this program in the brokers' logs and quotas
 * @throws UsageError if a setting is malformed or contradicts another
 */
export function kafkaConnection(
  program: string,
  clientId: string,
  env: Environment,
  readFile: (path: string) => string,
) {
  const settings = parseSettings(program, KAFKA_SETTINGS, env, { readFile });
  const problems: string[] = [];
  const protocol = settings.KAFKA_SECURITY_PROTOCOL;
  const tls = readTls(settings, readFile, problems);
  const { KAFKA_SASL_USERNAME: username, KAFKA_SASL_PASSWORD: password } = settings;
  if (protocol.startsWith("SASL")) {
    if (username === undefined) problems.push(`KAFKA_SASL_USERNAME: is missing, expected with ${protocol}`);
    if (password === undefined) problems.push(`KAFKA_SASL_PASSWORD: is missing, expected with ${protocol}`);
  } else if (username !== undefined || password !== undefined) {
    problems.push(
      `KAFKA_SECURITY_PROTOCOL: is ${protocol}, expected SASL_SSL or SASL_PLAINTEXT with a SASL user`,
    );
  }
  const servers = settings.KAFKA_BOOTSTRAP_SERVERS.split(",").map((server) => {
    const [, host = "", port] = /^\[?(.*?)\]?:(\d+)$/.exec(server.trim()) ?? [];
    return { host, port: Number(port) };
  });
  if (servers.some(({ port }) => port < 1 || port > 65535)) {
    const given = JSON.stringify(settings.KAFKA_BOOTSTRAP_SERVERS);
    problems.push(`KAFKA_BOOTSTRAP_SERVERS: is ${given}, expected ports from 1 to 65535`);
  }
  if (problems.length > 0) throw settingsError(program, problems);

  const sasl = { mechanism: settings.KAFKA_SASL_MECHANISM, username, password };
  return {
    topic: settings.KAFKA_TOPIC,
    /** The bootstrap servers as text, for messages. */
    servers: settings.KAFKA_BOOTSTRAP_SERVERS,
    secrets: [password, settings.KAFKA_SSL_KEY_PASSWORD].filter((value) => value !== undefined),
    options: {
      clientId,
      bootstrapBrokers: servers,
      connectTimeout: 5_000,
      // Longer than any long poll.
      requestTimeout: 10_000,
      // The workers do the retries: they count them, show them in readiness, and stop them at shutdown.
      retries: 0,
      ...(tls === undefined ? {} : { tls }),
      ...(protocol.startsWith("SASL") ? { sasl } : {}),
    } as BaseOptions,
  };
}

function readTls(
  settings: ReturnType<typeof parseSettings<typeof KAFKA_SETTINGS>>,
  readFile: (path: string) => string,
  problems: string[],
): TlsOptions | undefined {
  if (!settings.KAFKA_SECURITY_PROTOCOL.endsWith("SSL")) {
    // A certificate shows that the operator wants TLS. Without TLS, all data would cross the network in plain text.
    for (const [name, value] of Object.entries(settings)) {
      if (!name.startsWith("KAFKA_SSL_") || value === undefined) continue;
      problems.push(`${name}: is set, expected only with KAFKA_SECURITY_PROTOCOL SSL or SASL_SSL`);
    }
    return undefined;
  }
  return readTlsFiles(problems, readFile, {
    authorities: { label: "KAFKA_SSL_CA_FILE", path: settings.KAFKA_SSL_CA_FILE },
    certificate: { label: "KAFKA_SSL_CERT_FILE", path: settings.KAFKA_SSL_CERT_FILE },
    key: { label: "KAFKA_SSL_KEY_FILE", path: settings.KAFKA_SSL_KEY_FILE },
    keyPassword: { label: "KAFKA_SSL_KEY_PASSWORD", value: settings.KAFKA_SSL_KEY_PASSWORD },
  });
}

/** Advice to the operator, by a pattern in the broker's error code or message. The first match counts. */
const NEXT_STEPS = {
  kafka_refused: {
    "(?i:SASL_AUTHENTICATION_FAILED|authentication failed)":
      "check KAFKA_SASL_USERNAME, KAFKA_SASL_PASSWORD and KAFKA_SASL_MECHANISM",
    "UNSUPPORTED_SASL_MECHANISM|ILLEGAL_SASL_STATE":
      "that listener takes another KAFKA_SASL_MECHANISM, or no SASL at all (KAFKA_SECURITY_PROTOCOL)",
    "_AUTHORIZATION_FAILED":
      "grant the missing right to this program's user (KAFKA_SASL_USERNAME, or the subject of KAFKA_SSL_CERT_FILE)",
    "altnames":
      "its certificate is for another name: correct the host in KAFKA_BOOTSTRAP_SERVERS, or the certificate",
    "(?i:certificate)":
      "check that KAFKA_SSL_CA_FILE has the authority of the broker's certificate, and that neither has expired",
    "(?i:fatal alert)":
      "the broker refuses this program's certificate: check KAFKA_SSL_CERT_FILE and KAFKA_SSL_KEY_FILE",
    "requires TLS": "set KAFKA_SECURITY_PROTOCOL to SSL or SASL_SSL, as that port needs it",
  },
  kafka_unavailable: {
    // May be temporary: a broker that is shutting down looks the same.
    "TLS handshake": "if a broker runs there, that port has no TLS: check KAFKA_SECURITY_PROTOCOL",
    "LEADER_NOT_AVAILABLE|not available in the current cluster metadata":
      "no broker leads that partition: start the one that has its records",
    "Request timed out":
      "the broker took the request and did not answer in time: look at its log, its load and the network",
    "^Connection closed":
      "check that a broker runs there (KAFKA_BOOTSTRAP_SERVERS), and, if one does, KAFKA_SECURITY_PROTOCOL and " +
      "KAFKA_SSL_CERT_FILE: a broker closes the connection if they do not match its listener",
  },
};
const KNOWN = (["kafka_refused", "kafka_unavailable"] as const).flatMap((code) =>
  Object.entries(NEXT_STEPS[code]).map(([pattern, step]) => ({ code, pattern: new RegExp(pattern), step }))
);

export function kafkaFailure(action: string, connection: KafkaConnection, error: unknown): PipelineError {
  const api = findInCauses(error, "apiId");
  const reason = describeError(error);
  const known = KNOWN.find(({ pattern }) => pattern.test(String(api ?? "")) || pattern.test(reason));
  // A broker that answers with an error is running, so its error code is the hint.
  const step = known?.step ??
    (error instanceof RangeError
      ? "the broker runs there, but what it sent cannot be read: look at that batch"
      : api !== undefined
      ? `the broker answered ${api}`
      : "check that a broker runs there (KAFKA_BOOTSTRAP_SERVERS)");
  const reported = reportedAddress(reason, connection);
  const next = reported === undefined ? step : step.replaceAll(
    "KAFKA_BOOTSTRAP_SERVERS",
    `advertised.listeners: ${connection.servers} reported ${reported} as a broker's address, ` +
      "which must be known and reachable here",
  );
  const message = `Cannot ${action} at Kafka ${connection.servers}: ${reason}; ${next}`;
  return new PipelineError(known?.code ?? "kafka_unavailable", message, { retriable: true, cause: error });
}

/** The unreachable address, if a broker reported it and KAFKA_BOOTSTRAP_SERVERS does not name it. */
function reportedAddress(reason: string, { options }: KafkaConnection): string | undefined {
  const [, address] = /Connection to (\S+:\d+) (?:failed|timed out)/.exec(reason) ?? [];
  if (address === undefined) return undefined;
  const isConfigured = options.bootstrapBrokers.some((server) =>
    typeof server === "object" && `${server.host}:${server.port}` === address
  );
  return isConfigured ? undefined : address;
}

/**
 * @returns the first of `versions` that the brokers support
 * @throws PipelineError `kafka_refused` if they support none
 */
export async function negotiate<Version extends { readonly version: number }>(
  client: Pick<Base, "listApis">,
  name: "Fetch" | "Produce",
  versions: readonly Version[],
): Promise<Version> {
  const range = (await client.listApis()).find((api) => api.name === name);
  const { minVersion = 0, maxVersion = -1 } = range ?? {};
  const supported = versions.find(({ version }) => version >= minVersion && version <= maxVersion);
  if (supported !== undefined) return supported;
  const [action, expected] = name === "Fetch"
    ? ["read from", "13 or later (topic ids)"]
    : ["publish to", "9 or later"];
  throw new PipelineError(
    "kafka_refused",
    `Cannot ${action} Kafka: its brokers speak ${name} up to version ${range?.maxVersion}, expected ${expected}; ` +
      "Kafka 3.9, 4.0 and 4.4 are tested",
  );
}
