import { EXIT } from "../workers/_shared/lifecycle.ts";
import { stopCommand, writeAddresses } from "./addresses.ts";
import { parseStackFlags } from "./command_line.ts";
import { renewLogins } from "./logins.ts";
import { startDetached, stopDetached } from "./detached.ts";
import { keepRunning, runTogether } from "./process/keep_running.ts";
import { startStack } from "./mod.ts";
import { sayProgress, sayResult } from "./output.ts";
import { runProgram } from "./program.ts";

await runProgram(async ({ args, env, signal, resources }) => {
  const flags = parseStackFlags(args, env);
  const onProgress = sayProgress;
  if (flags.stop) {
    const stopped = await stopDetached(flags.home);
    return sayProgress(
      stopped ? `Stopped; the data stays in ${flags.home}` : `No servers run on ${flags.home}`,
    );
  }
  let stack;
  try {
    if (flags.detach) {
      const rest = args.filter((arg) => arg !== "--detach");
      const text = await startDetached(flags.home, rest, { signal, onProgress });
      for (const [line] of text.matchAll(/^\w+=.+$/gm)) sayResult(line);
      return sayProgress(`Both run in the background. Stop them with: ${stopCommand(flags.home)}`);
    }
    stack = resources.use("Kafka and PostgreSQL", await startStack({ ...flags, signal, onProgress }));
  } catch (error) {
    if (signal.aborted) return EXIT.interrupted;
    throw error;
  }
  const { variables } = await renewLogins(stack);
  const addresses = { KAFKA_BOOTSTRAP_SERVERS: stack.kafkaBootstrapServers, ...variables };
  const { hint } = resources.use("addresses", writeAddresses(stack.home, "stack", addresses));
  for (const [name, value] of Object.entries(addresses)) sayResult(`${name}=${value}`);
  sayProgress(
    `Both run, with their data in ${stack.home}. Stop them with Ctrl-C or: ${stopCommand(stack.home)}`,
  );
  sayProgress(hint);
  const servers = [stack.kafka, stack.postgres];
  await runTogether(
    servers.map((server) => (until) => keepRunning(server, { signal: until, onProgress })),
    { signal },
  );
});
