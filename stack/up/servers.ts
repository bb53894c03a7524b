import { PipelineError } from "../../workers/_shared/errors.ts";
import type { UpFlags } from "../command_line.ts";
import type { Home } from "../home.ts";
import { type Logins, renewLogins } from "../logins.ts";
import { type Stack, startStack } from "../mod.ts";
import { sayProgress } from "../output.ts";
import { describeExit } from "../process/keep_running.ts";
import { Worker } from "./worker.ts";
import type { LogLine } from "./worker_log.ts";

interface StartOptions {
  readonly signal: AbortSignal;
  readonly onLine: (line: LogLine) => void;
}

export interface StartedServers {
  readonly stack: Stack;
  /** Undefined with a PostgreSQL of the user, on which `up` creates no roles. */
  readonly logins: Logins | undefined;
}

/** Starts Kafka and PostgreSQL, unless the user has set their addresses, and migrates the schema of its own PostgreSQL. */
export async function startServers(flags: UpFlags, options: StartOptions): Promise<StartedServers> {
  const services: ("kafka" | "postgres")[] = [];
  if (flags.ownKafka === undefined) services.push("kafka");
  else {
    sayProgress(`Kafka: KAFKA_BOOTSTRAP_SERVERS is set, so this starts no broker and uses ${flags.ownKafka}`);
  }
  if (flags.ownDatabaseUrl === undefined) services.push("postgres");
  else sayProgress("PostgreSQL: DATABASE_URL is set, so this starts no server");
  let logins: Logins | undefined;
  const stack = await startStack({
    ...flags,
    services,
    signal: options.signal,
    onPostgres: async (postgres, home, signal) => {
      logins = await renewLogins(postgres);
      await migrate(logins, home, { ...options, signal });
    },
    onProgress: sayProgress,
  });
  return { stack, logins };
}

/**
 * Migrates the schema and gives the roles their rights, as the owner. No other worker logs in as the owner.
 *
 * @throws UsageError or PipelineError if the database does not fit
 */
async function migrate(
  { variables }: Logins,
  home: Home,
  { signal, onLine }: StartOptions,
): Promise<void> {
  await using worker = new Worker({
    name: "consumer",
    args: ["--migrate-only"],
    // Files in the user's environment must not name other passwords.
    env: { ...variables, HEARTBEAT_WRITER_PASSWORD_FILE: "", HEARTBEAT_READER_PASSWORD_FILE: "" },
    home: home.path,
    pidFile: home.pidFile("consumer"),
    acceptedAt: "roles.made",
    onLine,
  });
  signal.addEventListener("abort", () => void worker[Symbol.asyncDispose](), { once: true });
  const status = await worker.exited;
  signal.throwIfAborted();
  if (status.success) return;
  const how = `${describeExit(status)}, expected exit code 0; its log is ${worker.logPath}`;
  throw worker.hopeless(status) ??
    new PipelineError("stack_failed", `Cannot migrate the schema: the consumer ended with ${how}`);
}
