import { type Stack, type StackOptions, startStack } from "../../stack/mod.ts";
import { sayProgress } from "../../stack/output.ts";
import type { Resources } from "../../workers/_shared/lifecycle.ts";

/** The default of Kafka's own start script. With 64 MB the broker paused several times a second. */
const KAFKA_HEAP_MB = 1_024;

/** Starts Kafka and PostgreSQL in a temporary folder. When the program ends, it stops them and deletes the folder. */
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
