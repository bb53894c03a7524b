/** Folder `arena`: servers, network links and consumers of a run, and how to inject faults into them. It does not decide when. */
import type { Link } from "../../stack/network/link.ts";
import type { Service } from "../../stack/mod.ts";
import type { KafkaConnection } from "../../workers/_shared/kafka/client.ts";
import type { LinkName, Target } from "../faults/fault.ts";

export interface Arena {
  readonly topic: string;
  /** Without a link: for the judge. So is `databaseUrl`. */
  readonly kafka: KafkaConnection;
  readonly databaseUrl: string;
  /** Through the link of the producer, if there is one. */
  readonly producerKafka: KafkaConnection;
  /** Settings that lead the consumers through their links. */
  readonly consumerEnv: Readonly<Record<string, string>>;
  /** Only what this program started. */
  readonly targets: readonly Target["what"][];
  readonly servers: { readonly broker?: Service; readonly database?: Service };
  readonly links: Partial<Record<LinkName, Link>>;
  /** Absolute; for logs and PID files. */
  readonly folder: string;
  readonly pidFile: (name: string) => string;
  readonly place: string;
  /** Closes links, servers and connections. Deletes the data unless `keep` is set. */
  readonly close: (options: { keep: boolean }) => Promise<void>;
}
