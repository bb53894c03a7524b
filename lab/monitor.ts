import { withClient } from "../stack/postgres/postgres_client.ts";
import { WorkerProcess } from "./worker_process.ts";

export const READER_PASSWORD = "monitor-reader-1";

export interface MonitoredDatabase {
  /** As its owner. */
  readonly databaseUrl: string;
  readonly superuserUrl: string;
}

/** A monitor that runs as the reader, and the addresses that it logs. */
export class Monitor implements AsyncDisposable {
  readonly worker: WorkerProcess;
  readonly origin: string;
  #used = "";

  private constructor(worker: WorkerProcess, origin: string) {
    this.worker = worker;
    this.origin = origin;
  }

  /** Creates the schema and the reader if they are missing. */
  static async start(
    { databaseUrl, superuserUrl }: MonitoredDatabase,
    env: Readonly<Record<string, string>> = {},
  ): Promise<Monitor> {
    await withClient(superuserUrl, (client) => client.query("alter role heartbeat_user createrole"));
    await using migration = WorkerProcess.start("consumer", {
      args: ["--migrate-only"],
      env: { DATABASE_URL: databaseUrl, HEARTBEAT_READER_PASSWORD: READER_PASSWORD },
    });
    if (await migration.exitCode() !== 0) throw new Error(`the migration failed:\n${migration.tail()}`);
    const reader = new URL(databaseUrl);
    reader.username = "heartbeat_reader";
    reader.password = READER_PASSWORD;
    const worker = WorkerProcess.start("monitor", {
      // Any port: another monitor may use the default.
      env: { DATABASE_URL: reader.href, MONITOR_PORT: "0", LOG_FORMAT: "json", ...env },
    });
    try {
      const { origin } = await worker.untilLogged("monitor.listening");
      return new Monitor(worker, String(origin));
    } catch (error) {
      await worker[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** An address whose token this method has not returned yet. */
  async address(): Promise<string> {
    const { url } = await this.worker.untilLogged("monitor.address", (line) => {
      return line === this.worker.events("monitor.address").at(-1) && line["url"] !== this.#used;
    });
    return this.#used = String(url);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.worker[Symbol.asyncDispose]();
  }
}
