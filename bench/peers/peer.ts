/** Another program that does the job of our consumer, to be run beside it. */
import type { Child } from "../../stack/process/child.ts";

/** What it is tuned for. */
export type Setting = "throughput" | "latency";

export interface PeerRun {
  /** host:port */
  readonly bootstrapServers: string;
  /** Read from its beginning, by a consumer group of this run's own. */
  readonly topic: string;
  readonly databaseUrl: string;
  /** Plain name of a table in the schema public; made like `reference_table.ts` says when there is none. */
  readonly table: string;
  readonly setting: Setting;
  /** Each line that it says: few while all is well. */
  readonly onLine?: (line: string) => void;
}

export interface Peer {
  /** With its version. */
  readonly title: string;
  /**
   * Builds or installs it, the first time.
   *
   * @throws PipelineError when the tool that this needs is missing, or fails
   */
  readonly prepare: (options?: PrepareOptions) => Promise<void>;
  /**
   * Starts it. It runs until it is stopped, or ends by itself when it cannot go on.
   *
   * @throws PipelineError when it was not prepared, UsageError for a table that it cannot write to
   */
  readonly start: (run: PeerRun) => Promise<Child>;
}

export interface PrepareOptions {
  /** Sentences about what takes long. */
  readonly onProgress?: (text: string) => void;
}
