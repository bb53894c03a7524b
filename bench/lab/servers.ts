/** Kafka and PostgreSQL of one measurement, in a temporary folder. */
import { type Stack, type StackOptions, startStack } from "../../stack/mod.ts";
import { sayProgress } from "../../stack/output.ts";
import type { Resources } from "../../workers/_shared/lifecycle.ts";

/** What Kafka's own start script gives a broker. With less it stands still several times a second, whoever reads from it. */
const KAFKA_HEAP_MB = 1_024;

/** Deletes them with everything in them when the program ends. */
export async function startServers(
  { signal, resources }: { readonly signal: AbortSignal; readonly resources: Resources },
  options: Partial<StackOptions> = {},
): Promise<Stack> {
  const home = await Deno.makeTempDir({ prefix: "heartbeat-bench-" });
  const own = { home, kafkaHeapMb: KAFKA_HEAP_MB, signal, onProgress: sayProgress };
  const stack = await startStack({ ...own, ...options });
  resources.defer("servers", () => stack.destroy());
  return stack;
}
