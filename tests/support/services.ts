/** Real Kafka and real PostgreSQL for one test file: started at the first use, gone after its last test. */
import { type Stack, startStack } from "../../stack/mod.ts";
import { createPlace, type Place, type PlaceOptions } from "./place.ts";

let starting: Promise<Stack> | undefined;
let failed = false;

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
      failed = true;
      // Told in the error, since a quiet run shows nothing that a test writes.
      const { home, postgresFolder } = place.stack;
      const kept = `kept: topic ${place.topic} in ${home}, database ${place.database} in ${postgresFolder}`;
      throw new Error(
        `${kept}
${place.workersTail()}`,
        { cause: error },
      );
    }
  };
}

Deno.test.afterAll(async () => {
  const stack = await starting;
  // What a failed test left is worth a look: startStack({ home }) opens it again.
  if (failed) await stack?.[Symbol.asyncDispose]();
  else await stack?.destroy();
});
