/** Real Kafka and real PostgreSQL for one test file: started at the first use, gone after its last test. */
import { type Stack, startStack } from "../../stack/mod.ts";
import { createPlace, type Place, type PlaceOptions } from "./place.ts";

let starting: Promise<Stack> | undefined;
const failed: string[] = [];

/** The servers of this test file. */
export function servers(): Promise<Stack> {
  return starting ??= Deno.makeTempDir({ prefix: "heartbeat-test-" })
    .then((home) => startStack({ home, kafkaConfig: QUICK_COMPACTION }));
}

/** The broker would look for something to compact every 15 s. */
const QUICK_COMPACTION = { "log.cleaner.backoff.ms": "200" };

/**
 * The body of a test that has a topic and a database of its own.
 *
 * @example
 * Deno.test("a reading becomes a row", onPlace({ partitions: 3 }, async (place) => { ... }));
 */
export function onPlace(
  options: PlaceOptions,
  body: (place: Place, t: Deno.TestContext) => Promise<void>,
): (t: Deno.TestContext) => Promise<void> {
  return async (t) => {
    await using place = await createPlace(await servers(), t.name, options);
    try {
      await body(place, t);
    } catch (error) {
      failed.push(`topic ${place.topic}, database ${place.database}: ${t.name}`);
      tell(place.workersTail());
      throw error;
    }
  };
}

Deno.test.afterAll(async () => {
  const stack = await starting;
  if (stack === undefined) return;
  if (failed.length === 0) return await stack.destroy();
  // What a failed test left is worth a look: startStack({ home }) opens it again.
  await stack[Symbol.asyncDispose]();
  tell(`Kept in ${stack.home} (PostgreSQL: ${stack.postgresFolder})\n  ${failed.join("\n  ")}`);
});

function tell(text: string): void {
  Deno.stderr.writeSync(new TextEncoder().encode(`${text}\n`));
}
