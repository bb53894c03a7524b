import { HOST } from "../network/ports.ts";

/**
 * A second listener of the broker, which advertises a proxy. A client uses the bootstrap address only to learn the
 * advertised addresses. So it would bypass a proxy that is in front of the bootstrap address only.
 */
export interface KafkaLink {
  /** The port on which the broker listens for the proxy. */
  readonly port: number;
  /** The port on which the proxy listens for clients. */
  readonly proxyPort: number;
}

export interface KafkaNode {
  readonly id: number;
  readonly clientPort: number | undefined;
  readonly links: readonly KafkaLink[];
  /** Ports of the controllers, by node id. */
  readonly controllers: ReadonlyMap<number, number>;
  /** Relative to the working directory, because Kafka reads a comma in a path as a separator. */
  readonly data: string;
  /** Replaces defaults, except that the values of `LISTS` are added to the default values. */
  readonly config: Readonly<Record<string, string>>;
}

export const ONE_REPLICA = replication({ replicas: 1, inSync: 1 });
export const THREE_REPLICAS = { ...replication({ replicas: 3, inSync: 2 }), "min.insync.replicas": "2" };

const LISTS = ["listeners", "advertised.listeners", "listener.security.protocol.map"];

export function serverProperties({ id, clientPort, links, controllers, data, config }: KafkaNode): string {
  const controllerPort = controllers.get(id);
  const roles = [
    ...(clientPort === undefined ? [] : ["broker"]),
    ...(controllerPort === undefined ? [] : ["controller"]),
  ];
  const named = (portOf: (link: KafkaLink) => number) =>
    Object.fromEntries(links.map((link, index) => [`LINK${index}`, portOf(link)]));
  const own = clientPort === undefined ? {} : { PLAINTEXT: clientPort };
  const control = controllerPort === undefined ? {} : { CONTROLLER: controllerPort };
  const listeners = { ...own, ...named((link) => link.port), ...control };
  // A broker that is no controller still needs the protocol of the controller's listener.
  const secured = Object.keys({ ...listeners, CONTROLLER: 0 }).map((name) => `${name}:PLAINTEXT`);
  const defaults: Record<string, string> = {
    "process.roles": roles.join(","),
    "node.id": String(id),
    // The quorum is static. The formatted storage then does not contain the ports, so they may change.
    "controller.quorum.voters": [...controllers].map(([voter, port]) => `${voter}@${HOST}:${port}`).join(","),
    "controller.listener.names": "CONTROLLER",
    "listeners": addresses(listeners),
    ...(clientPort === undefined ? {} : {
      "advertised.listeners": addresses({ ...own, ...named((link) => link.proxyPort) }),
    }),
    "listener.security.protocol.map": secured.join(","),
    "log.dirs": data,
    // A typo in a topic name must not create a topic.
    "auto.create.topics.enable": "false",
    // After a kill, the controller admits the restarted broker only when the old session has expired. Kafka's default
    // is 9 s.
    "broker.session.timeout.ms": "3000",
    "broker.heartbeat.interval.ms": "500",
    "group.initial.rebalance.delay.ms": "0",
    "offsets.topic.num.partitions": "1",
    "transaction.state.log.num.partitions": "1",
    "share.coordinator.state.topic.num.partitions": "1",
  };
  const properties: Record<string, string> = { ...defaults, ...config };
  for (const name of LISTS) {
    const more = config[name];
    if (more !== undefined) {
      properties[name] = [defaults[name], more].filter((list) => list !== undefined).join(",");
    }
  }
  return Object.entries(properties).map(([name, value]) => `${name}=${escapeValue(value)}\n`).join("");
}

/** Writes the syntax of java.util.Properties: Latin-1, with escapes for all other characters. */
export function escapeValue(value: string): string {
  return value.replace(/^\s|[^\x20-\x7e]|[\\=:#!]/g, (char) => {
    return /[\x20-\x7e]/.test(char) ? `\\${char}` : `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`;
  });
}

function replication({ replicas, inSync }: { replicas: number; inSync: number }): Record<string, string> {
  return {
    "default.replication.factor": String(replicas),
    "offsets.topic.replication.factor": String(replicas),
    "transaction.state.log.replication.factor": String(replicas),
    "transaction.state.log.min.isr": String(inSync),
    "share.coordinator.state.topic.replication.factor": String(replicas),
    "share.coordinator.state.topic.min.isr": String(inSync),
  };
}

function addresses(ports: Readonly<Record<string, number>>): string {
  return Object.entries(ports).map(([name, port]) => `${name}://${HOST}:${port}`).join(",");
}
