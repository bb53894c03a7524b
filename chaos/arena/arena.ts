/**
 * Folder `arena`: the servers, links and consumers of a run, and what it takes to disturb them. It never decides when, and
 * judges nothing.
 */
import type { Link } from "../../stack/network/link.ts";
import type { Service } from "../../stack/mod.ts";
import type { KafkaConnection } from "../../workers/_shared/kafka/client.ts";
import type { LinkName, Target } from "../faults/fault.ts";

export interface Arena {
  readonly topic: string;
  /** Of the judge: past every link. */
  readonly kafka: KafkaConnection;
  readonly databaseUrl: string;
  /** Of the load: through its link, where there is one. */
  readonly producerKafka: KafkaConnection;
  /** What the consumers are told beside their usual settings: servers, through their links. */
  readonly consumerEnv: Readonly<Record<string, string>>;
  /** What may be disturbed: only what was started here. */
  readonly targets: readonly Target["what"][];
  readonly servers: { readonly broker?: Service; readonly database?: Service };
  readonly links: Partial<Record<LinkName, Link>>;
  /** Where logs lie, and the ids of child processes. */
  readonly folder: string;
  readonly pidFile: (name: string) => string;
  /** For people. */
  readonly place: string;
  /** Deletes what was made, or keeps it to be looked at. Links, servers and connections are closed either way. */
  readonly close: (options: { keep: boolean }) => Promise<void>;
}
