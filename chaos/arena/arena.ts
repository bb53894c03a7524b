/** Folder `arena`: starts the servers, network links and consumers of a run, and injects faults into them on request. */
import type { Link } from "../../stack/network/link.ts";
import type { Service } from "../../stack/mod.ts";
import type { KafkaConnection } from "../../workers/_shared/kafka/client.ts";
import type { LinkName, Target } from "../faults/fault.ts";

export interface Arena {
  readonly topic: string;
  /** The judge's connection. Like `databaseUrl`, it passes through no link. */
  readonly kafka: KafkaConnection;
  readonly databaseUrl: string;
  /** The load's connection. It passes through the producer's link, if there is one. */
  readonly producerKafka: KafkaConnection;
  /** Settings by which the consumers connect through their links. */
  readonly consumerEnv: Readonly<Record<string, string>>;
  /** The targets that this program started. Faults are injected only into them. */
  readonly targets: readonly Target["what"][];
  readonly servers: { readonly broker?: Service; readonly database?: Service };
  readonly links: Partial<Record<LinkName, Link>>;
  /** Absolute path of the folder for logs and PID files. */
  readonly folder: string;
  readonly pidFile: (name: string) => string;
  /** Tells the operator where data and logs are. */
  readonly location: string;
  /** Closes links, servers and connections. Deletes the data unless `keep` is set. */
  readonly close: (options: { keep: boolean }) => Promise<void>;
}
