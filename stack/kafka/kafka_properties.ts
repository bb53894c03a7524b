/** What a Kafka node is told at its start: server.properties, for a node alone and for one of a cluster. */
import { HOST } from "../network/ports.ts";

/**
 * A second way to the broker, through a proxy. Who comes by it is told to come back by it: a client asks the first
 * address only where the brokers are, and would go past a proxy that stands before that address alone.
 */
export interface KafkaLink {
  /** Where the broker listens, for the proxy to connect to. */
  readonly port: number;
  /** Where the proxy listens, for clients to connect to. */
  readonly proxyPort: number;
}

export interface KafkaNode {
  readonly id: number;
  /** Where clients come to it as a broker; undefined: it is none. */
  readonly clientPort: number | undefined;
  readonly links: readonly KafkaLink[];
  /** Port of each controller of its cluster, by node id. When its own id is among them it is one. */
  readonly controllers: ReadonlyMap<number, number>;
  /** Folder: relative to the node's working directory, because Kafka takes a comma in it for a separator. */
  readonly data: string;
  /** Lines of server.properties that win over ours; listeners come on top of ours. */
  readonly config: Readonly<Record<string, string>>;
}

/** A log of one copy, for a broker alone. */
export const ONE_REPLICA = replication({ replicas: 1, inSync: 1 });
/** What a cluster of three is for: a record is acknowledged when two have it. */
export const THREE_REPLICAS = { ...replication({ replicas: 3, inSync: 2 }), "min.insync.replicas": "2" };

const LISTS = ["listeners", "advertised.listeners", "listener.security.protocol.map"];

/** The text of the file. */
export function serverProperties({ id, clientPort, links, controllers, data, config }: KafkaNode): string {
  const controllerPort = controllers.get(id);
  const roles = [
    ...(clientPort === undefined ? [] : ["broker"]),
    ...(controllerPort === undefined ? [] : ["controller"]),
  ];
  const named = (of: (link: KafkaLink) => number) =>
    Object.fromEntries(links.map((link, index) => [`LINK${index}`, of(link)]));
  const own = clientPort === undefined ? {} : { PLAINTEXT: clientPort };
  const control = controllerPort === undefined ? {} : { CONTROLLER: controllerPort };
  const listeners = { ...own, ...named((link) => link.port), ...control };
  // A broker is told how to speak with the controller's listener, which it has not.
  const secured = Object.keys({ ...listeners, CONTROLLER: 0 }).map((name) => `${name}:PLAINTEXT`);
  const ours: Record<string, string> = {
    "process.roles": roles.join(","),
    "node.id": String(id),
    // Named here and not in the formatted storage, so that a controller may move to another port.
    "controller.quorum.voters": [...controllers].map(([voter, port]) => `${voter}@${HOST}:${port}`).join(","),
    "controller.listener.names": "CONTROLLER",
    "listeners": addresses(listeners),
    ...(clientPort === undefined ? {} : {
      "advertised.listeners": addresses({ ...own, ...named((link) => link.proxyPort) }),
    }),
    "listener.security.protocol.map": secured.join(","),
    "log.dirs": data,
    // A typing error in a topic's name must not make a topic.
    "auto.create.topics.enable": "false",
    // After a kill the controller takes the new broker only when the old one's session is over; 9 s unless told.
    "broker.session.timeout.ms": "3000",
    "broker.heartbeat.interval.ms": "500",
    "group.initial.rebalance.delay.ms": "0",
    "offsets.topic.num.partitions": "1",
    "transaction.state.log.num.partitions": "1",
    "share.coordinator.state.topic.num.partitions": "1",
  };
  const properties: Record<string, string> = { ...ours, ...config };
  for (const name of LISTS) {
    const more = config[name];
    if (more !== undefined) {
      properties[name] = [ours[name], more].filter((one) => one !== undefined).join(",");
    }
  }
  return Object.entries(properties).map(([name, value]) => `${name}=${escapeValue(value)}\n`).join("");
}

/** As java.util.Properties reads a value: in Latin-1, with escapes for anything else. */
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

/** @param ports of each listener, by its name */
function addresses(ports: Readonly<Record<string, number>>): string {
  return Object.entries(ports).map(([name, port]) => `${name}://${HOST}:${port}`).join(",");
}
