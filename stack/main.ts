/** Runs Kafka and PostgreSQL alone, and says where they are in two lines that a shell can use. */
import { EXIT } from "../workers/_shared/lifecycle.ts";
import { parseStackFlags } from "./command_line.ts";
import { keepRunning, runTogether } from "./keep_running.ts";
import { startStack } from "./mod.ts";
import { sayProgress, sayResult } from "./output.ts";
import { runProgram } from "./program.ts";

await runProgram(async ({ args, env, signal, resources }) => {
  const flags = parseStackFlags(args, env);
  let stack;
  try {
    stack = resources.use(
      "Kafka and PostgreSQL",
      await startStack({ ...flags, signal, onProgress: sayProgress }),
    );
  } catch (error) {
    if (signal.aborted) return EXIT.interrupted;
    throw error;
  }
  sayResult(`KAFKA_BOOTSTRAP_SERVERS=${stack.kafkaBootstrapServers}`);
  sayResult(`DATABASE_URL=${stack.databaseUrl}`);
  sayProgress(`Both run; their data is in ${stack.home}. Ctrl-C ends them.`);
  const servers = [stack.kafka, stack.postgres];
  const onProgress = sayProgress;
  await runTogether(
    servers.map((one) => (until) => keepRunning(one, { signal: until, onProgress })),
    { signal },
  );
});
