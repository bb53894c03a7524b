/** How every worker reaches Kafka: settings, client options, topics, and what an error of the client means. */
import { Admin, type Base, type BaseOptions, type ClusterMetadata } from "@platformatic/kafka";
import { choice, optional, parseSettings, secret, settingsError, text } from "./env.ts";
import type { Environment } from "./env.ts";
import { describeError, findInCauses, PipelineError } from "./errors.ts";

export const KAFKA_SETTINGS = {
  KAFKA_BOOTSTRAP_SERVERS: text({
    expected: "host:port, several separated by commas",
    pattern: /^[^\s,:]+:\d{1,5}(,[^\s,:]+:\d{1,5})*$/,
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
  const pem = (name: "KAFKA_SSL_CA_FILE" | "KAFKA_SSL_CERT_FILE" | "KAFKA_SSL_KEY_FILE") => {
    const path = settings[name];
    if (path === undefined) return {};
    try {
      const key = { KAFKA_SSL_CA_FILE: "ca", KAFKA_SSL_CERT_FILE: "cert", KAFKA_SSL_KEY_FILE: "key" }[name];
      return { [key]: readFile(path) };
    } catch {
      problems.push(`${name}: cannot read ${path}, expected a readable PEM file`);
      return {};
    }
  };
  const protocol = settings.KAFKA_SECURITY_PROTOCOL;
  const tls = protocol.endsWith("SSL")
    ? { ...pem("KAFKA_SSL_CA_FILE"), ...pem("KAFKA_SSL_CERT_FILE"), ...pem("KAFKA_SSL_KEY_FILE") }
    : undefined;
  const { KAFKA_SASL_USERNAME: username, KAFKA_SASL_PASSWORD: password } = settings;
  if (protocol.startsWith("SASL")) {
    if (username === undefined) problems.push(`KAFKA_SASL_USERNAME: is missing, expected with ${protocol}`);
    if (password === undefined) problems.push(`KAFKA_SASL_PASSWORD: is missing, expected with ${protocol}`);
  } else if (username !== undefined || password !== undefined) {
    problems.push(
      `KAFKA_SECURITY_PROTOCOL: is ${protocol}, expected SASL_SSL or SASL_PLAINTEXT with a SASL user`,
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
    secrets: password === undefined ? [] : [password],
    options: {
      clientId,
      bootstrapBrokers: settings.KAFKA_BOOTSTRAP_SERVERS.split(",").map((server) => {
        const [host = "", port] = server.split(":");
        return { host, port: Number(port) };
      }),
      connectTimeout: CONNECT_TIMEOUT_MS,
      requestTimeout: REQUEST_TIMEOUT_MS,
      // Retries are ours: they are counted, shown in readiness, and end when the program stops.
      retries: 0,
      ...(tls === undefined ? {} : { tls }),
      ...(protocol.startsWith("SASL") ? { sasl } : {}),
    } as BaseOptions,
  };
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
export async function describeTopic(client: Base, topic: string): Promise<TopicDescription | undefined> {
  try {
    const metadata = await client.metadata({ topics: [topic], forceUpdate: true });
    const found = metadata.topics.get(topic);
    if (found === undefined) return undefined;
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

/** Protocol errors that say who we are, or what we may do, is wrong: waiting alone does not cure them. */
const REFUSALS = new Set([
  "SASL_AUTHENTICATION_FAILED",
  "UNSUPPORTED_SASL_MECHANISM",
  "ILLEGAL_SASL_STATE",
  "TOPIC_AUTHORIZATION_FAILED",
  "GROUP_AUTHORIZATION_FAILED",
  "CLUSTER_AUTHORIZATION_FAILED",
]);

/** Says what failed towards Kafka, and whether the operator has to act. */
export function kafkaFailure(action: string, connection: KafkaConnection, error: unknown): PipelineError {
  const api = findInCauses(error, "apiId");
  const reason = describeError(error);
  const refused = REFUSALS.has(String(api)) ||
    /authentication failed|certificate|requires TLS|TLS handshake/i.test(reason);
  // A broker that answers with an error runs there: what it says is the hint.
  const next = refused
    ? "check KAFKA_SECURITY_PROTOCOL, KAFKA_SASL_* and KAFKA_SSL_*"
    : api !== undefined
    ? `the broker answered ${api}`
    : "check that a broker runs there (KAFKA_BOOTSTRAP_SERVERS)";
  const message = `Cannot ${action} at Kafka ${connection.servers}: ${reason}; ${next}`;
  return new PipelineError(refused ? "kafka_refused" : "kafka_unavailable", message, {
    retriable: true,
    cause: error,
  });
}
