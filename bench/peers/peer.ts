import type { Child } from "../../stack/process/child.ts";

export type Setting = "throughput" | "latency";

export interface PeerRun {
  readonly bootstrapServers: string;
  /** The peer reads it from its beginning, with a new consumer group. */
  readonly topic: string;
  readonly databaseUrl: string;
  /** Unquoted name of a table in the schema public. If it is missing, `start` creates it (reference_table.ts). */
  readonly table: string;
  readonly setting: Setting;
  readonly onLine?: (line: string) => void;
}

export interface Peer {
  /** Includes the version if the version is fixed. */
  readonly title: string;
  /**
   * Builds or installs the peer, if necessary.
   * @throws PipelineError if a tool is missing or fails
   */
  readonly prepare: (options?: PrepareOptions) => Promise<void>;
  /** @throws PipelineError if the peer is not prepared, UsageError for a table name that needs quotes */
  readonly start: (run: PeerRun) => Promise<Child>;
}

export interface PrepareOptions {
  readonly onProgress?: (text: string) => void;
}
