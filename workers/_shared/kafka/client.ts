/** How every worker reaches Kafka: settings, client options, topics, and what an error of the client means. */
import { Admin, type Base, type BaseOptions, type ClusterMetadata } from "@platformatic/kafka";
import { choice, optional, parseSettings, secret, settingsError, text } from "../env.ts";
import type { Environment } from "../env.ts";
import { describeError, findInCauses, PipelineError } from "../errors.ts";
import "./connect.ts";
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

/** A request that is not answered for this long has failed; longer than any long poll. */
const REQUEST_TIMEOUT_MS = 10_000;
const CONNECT_TIMEOUT_MS = 5_000;

export interface KafkaConnection {
  readonly topic: string;
  /** For messages: the bootstrap servers as they were given. */
  readonly servers: string;
  readonly options: BaseOptions;
  readonly secrets: readonly string[];
}

/**
 * Reads the connection's settings.
 *
 * @param clientId how brokers name this program in logs and quotas
 * @throws UsageError when a setting is malformed or they do not go together
 */
export function kafkaConnection(
  program: string,
  clientId: string,
  env: Environment,
  readFile: (path: string) => string,
): KafkaConnection {
  const settings = parseSettings(program, KAFKA_SETTINGS, env, { readFile });
  const problems: string[] = [];
  const protocol = settings.KAFKA_SECURITY_PROTOCOL;
  const tls = protocol.endsWith("SSL") ? readTls(settings, readFile, problems) : undefined;
  if (tls === undefined) {
    // Whoever names a certificate means TLS: going on without it would tell everything to the network.
    for (const name of TLS_SETTINGS) {
      if (settings[name] === undefined) continue;
      problems.push(`${name}: is set, expected only with KAFKA_SECURITY_PROTOCOL SSL or SASL_SSL`);
    }
  }
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
    problems.push(
      `KAFKA_BOOTSTRAP_SERVERS: is ${
        JSON.stringify(settings.KAFKA_BOOTSTRAP_SERVERS)
      }, expected ports from 1 to 65535`,
    );
  }
  if (problems.length > 0) throw settingsError(program, problems);

  const sasl = {
    mechanism: settings.KAFKA_SASL_MECHANISM,
    username: username ?? "",
    password: password ?? "",
  };
  return {
    topic: settings.KAFKA_TOPIC,
    servers: settings.KAFKA_BOOTSTRAP_SERVERS,
    secrets: [password, settings.KAFKA_SSL_KEY_PASSWORD].filter((one) => one !== undefined),
    options: {
      clientId,
      bootstrapBrokers: servers,
      connectTimeout: CONNECT_TIMEOUT_MS,
      requestTimeout: REQUEST_TIMEOUT_MS,
      // Retries are ours: they are counted, shown in readiness, and end when the program stops.
      retries: 0,
      ...(tls === undefined ? {} : { tls }),
      ...(protocol.startsWith("SASL") ? { sasl } : {}),
    } as BaseOptions,
  };
}

const TLS_SETTINGS = [
  "KAFKA_SSL_CA_FILE",
  "KAFKA_SSL_CERT_FILE",
  "KAFKA_SSL_KEY_FILE",
  "KAFKA_SSL_KEY_PASSWORD",
] as const;

function readTls(
  settings: { readonly [name in (typeof TLS_SETTINGS)[number]]: string | undefined },
  readFile: (path: string) => string,
  problems: string[],
): TlsOptions {
  const file = (label: "KAFKA_SSL_CA_FILE" | "KAFKA_SSL_CERT_FILE" | "KAFKA_SSL_KEY_FILE") => {
    return { label, path: settings[label] };
  };
  const { tls, problems: found } = readTlsFiles({
    authorities: file("KAFKA_SSL_CA_FILE"),
    certificate: file("KAFKA_SSL_CERT_FILE"),
    key: file("KAFKA_SSL_KEY_FILE"),
    keyPassword: { label: "KAFKA_SSL_KEY_PASSWORD", value: settings.KAFKA_SSL_KEY_PASSWORD },
  }, readFile);
  problems.push(...found);
  return tls;
}

export interface TopicDescription {
  /** Changes when a topic is deleted and made again, though its name does not. */
  readonly id: string;
  /** Node that leads each partition, by partition; -1 while there is none. */
  readonly leaders: readonly number[];
  /** How many leaders each partition had before, by partition; -1 while it is not known. */
  readonly leaderEpochs: readonly number[];
  readonly brokers: ClusterMetadata["brokers"];
}

/** Asks a broker anew; undefined when there is no such topic. */
export async function describeTopic(
  client: Pick<Base, "metadata">,
  topic: string,
): Promise<TopicDescription | undefined> {
  try {
    const metadata = await client.metadata({ topics: [topic], forceUpdate: true });
    const found = metadata.topics.get(topic);
    if (found === undefined) return undefined;
    // A broker that names none does not know the topic well: there is no topic without partitions.
    if (found.partitions.length === 0) throw new Error(`no partition was given of topic ${topic}`);
    return {
      id: found.id,
      leaders: found.partitions.map(({ leader }) => leader),
      leaderEpochs: found.partitions.map(({ leaderEpoch }) => leaderEpoch),
      brokers: metadata.brokers,
    };
  } catch (error) {
    if (isUnknownTopic(error)) return undefined;
    throw error;
  }
}

/** The client turns the protocol's UNKNOWN_TOPIC_OR_PARTITION into an error that has only this text. */
function isUnknownTopic(error: unknown): boolean {
  return findInCauses(error, "apiId") === "UNKNOWN_TOPIC_OR_PARTITION" ||
    describeError(error).includes("Unknown topic");
}

/** Makes a topic with the brokers' default replication; false when somebody else made it in the meantime. */
export async function createTopic(connection: KafkaConnection, partitions: number): Promise<boolean> {
  const admin = new Admin(connection.options);
  try {
    await admin.createTopics({ topics: [connection.topic], partitions, replicas: -1 });
    return true;
  } catch (error) {
    if (findInCauses(error, "apiId") === "TOPIC_ALREADY_EXISTS") return false;
    throw error;
  } finally {
    await admin.close();
  }
}

interface NextStep {
  /** Looked for in the broker's answer and in the error's text. */
  readonly sign: RegExp;
  readonly step: string;
  /** Who we are, or what we may do, is wrong: waiting alone does not cure it. */
  readonly refused: boolean;
}

/** What an operator does about an error; the first that fits. */
const NEXT_STEPS: readonly NextStep[] = [
  {
    sign: /SASL_AUTHENTICATION_FAILED|authentication failed/i,
    step: "check KAFKA_SASL_USERNAME, KAFKA_SASL_PASSWORD and KAFKA_SASL_MECHANISM",
    refused: true,
  },
  {
    sign: /UNSUPPORTED_SASL_MECHANISM|ILLEGAL_SASL_STATE/,
    step: "that listener takes another KAFKA_SASL_MECHANISM, or no SASL at all (KAFKA_SECURITY_PROTOCOL)",
    refused: true,
  },
  {
    sign: /_AUTHORIZATION_FAILED/,
    step: "grant the missing right to our user (KAFKA_SASL_USERNAME, or the subject of KAFKA_SSL_CERT_FILE)",
    refused: true,
  },
  {
    sign: /altnames/,
    step:
      "its certificate is for another name: correct the host in KAFKA_BOOTSTRAP_SERVERS, or the certificate",
    refused: true,
  },
  {
    sign: /certificate/i,
    step:
      "check that KAFKA_SSL_CA_FILE has the authority of the broker's certificate, and that neither has expired",
    refused: true,
  },
  {
    sign: /fatal alert/i,
    step: "the broker turns our certificate away: check KAFKA_SSL_CERT_FILE and KAFKA_SSL_KEY_FILE",
    refused: true,
  },
  {
    sign: /requires TLS/,
    step: "set KAFKA_SECURITY_PROTOCOL to SSL or SASL_SSL, as that port needs it",
    refused: true,
  },
  {
    // Also what a broker looks like that goes away at this very moment, so it may pass.
    sign: /TLS handshake/,
    step: "if a broker runs there, that port has no TLS: check KAFKA_SECURITY_PROTOCOL",
    refused: false,
  },
  {
    sign: /LEADER_NOT_AVAILABLE|not available in the current cluster metadata/,
    step: "no broker leads that partition: start the one that has its records",
    refused: false,
  },
  {
    sign: /Request timed out/,
    step: "the broker took the request and did not answer in time: look at its log, its load and the network",
    refused: false,
  },
  {
    sign: /^Connection closed/,
    step:
      "check that a broker runs there (KAFKA_BOOTSTRAP_SERVERS), and, if one does, KAFKA_SECURITY_PROTOCOL and " +
      "KAFKA_SSL_CERT_FILE: that is how a broker turns away who comes without what its listener asks for",
    refused: false,
  },
];

/** Says what failed towards Kafka, and whether the operator has to act. */
export function kafkaFailure(action: string, connection: KafkaConnection, error: unknown): PipelineError {
  const api = findInCauses(error, "apiId");
  const reason = describeError(error);
  const known = NEXT_STEPS.find(({ sign }) => sign.test(String(api ?? "")) || sign.test(reason));
  // A broker that answers with an error runs there: what it says is the hint.
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
  return new PipelineError(known?.refused === true ? "kafka_refused" : "kafka_unavailable", message, {
    retriable: true,
    cause: error,
  });
}

/** The address that was not reached, when a broker named it and not KAFKA_BOOTSTRAP_SERVERS. */
function reportedAddress(reason: string, { options }: KafkaConnection): string | undefined {
  const [, address] = /Connection to (\S+:\d+) (?:failed|timed out)/.exec(reason) ?? [];
  if (address === undefined) return undefined;
  const isOurs = options.bootstrapBrokers.some((server) =>
    typeof server === "object" && `${server.host}:${server.port}` === address
  );
  return isOurs ? undefined : address;
}
