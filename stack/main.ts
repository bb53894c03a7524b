/** Runs Kafka and PostgreSQL alone, and says where they are in two lines that a shell can use. */
import { EXIT, runWorker } from "../workers/_shared/lifecycle.ts";
import { parseStackFlags } from "./command_line.ts";
import { keepRunning } from "./keep_running.ts";
import { startStack } from "./mod.ts";

await runWorker(async ({ args, env, signal, resources }) => {
  const flags = parseStackFlags(args, env);
  const onProgress = (text: string) => write(Deno.stderr, text);
  let stack;
  try {
    stack = resources.use("Kafka and PostgreSQL", await startStack({ ...flags, signal, onProgress }));
  } catch (error) {
    if (signal.aborted) return EXIT.interrupted;
    throw error;
  }
  write(Deno.stdout, `KAFKA_BOOTSTRAP_SERVERS=${stack.kafkaBootstrapServers}`);
  write(Deno.stdout, `DATABASE_URL=${stack.databaseUrl}`);
  onProgress(`Both run; their data is in ${stack.home}. Ctrl-C ends them.`);
  await Promise.all([stack.kafka, stack.postgres].map((one) => keepRunning(one, { signal, onProgress })));
});

function write(to: { writeSync(bytes: Uint8Array): number }, line: string): void {
  to.writeSync(new TextEncoder().encode(`${line}\n`));
}
