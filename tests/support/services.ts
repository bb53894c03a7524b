/** Real Kafka and real PostgreSQL for one test file: started at the first use, gone after its last test. */
import { type Link, openLink } from "../../stack/network/link.ts";
import { type Stack, startStack } from "../../stack/mod.ts";
import { createPlace, type Place, type PlaceOptions } from "../../lab/place.ts";

/** The broker would look for something to compact every 15 s. */
const QUICK_COMPACTION = { "log.cleaner.backoff.ms": "200" };

// A test's broker lives for seconds: compiled once is enough, and takes a quarter less of the processor.
Deno.env.set("JAVA_TOOL_OPTIONS", `${Deno.env.get("JAVA_TOOL_OPTIONS") ?? ""} -XX:TieredStopAtLevel=1`);

/** Servers that the tests of a file share. */
export class SharedServers<S extends Stack = Stack> {
  readonly #start: (home: string) => Promise<S>;
  #starting: Promise<S> | undefined;
  #failed = false;

  constructor(start: (home: string) => Promise<S>) {
    this.#start = start;
    Deno.test.afterAll(async () => {
      const stack = await this.#starting;
      // What a failed test left is worth a look: startStack({ home }) opens it again.
      if (this.#failed) await stack?.[Symbol.asyncDispose]();
      else await stack?.destroy();
    });
  }

  started(): Promise<S> {
    return this.#starting ??= Deno.makeTempDir({ prefix: "heartbeat-test-" }).then(this.#start);
  }

  /** The body of a test that has a topic and a database of its own. */
  onPlace(
    options: PlaceOptions,
    body: (place: Place, t: Deno.TestContext) => Promise<void>,
  ): (t: Deno.TestContext) => Promise<void> {
    return async (t) => {
      await using place = await createPlace(await this.started(), t.name, options);
      try {
        await body(place, t);
      } catch (error) {
        this.#failed = true;
        // Told in the error, since a quiet run shows nothing that a test writes.
        const { home, postgresFolder } = place.stack;
        const kept = `kept: topic ${place.topic} in ${home}, database ${place.database} in ${postgresFolder}`;
        throw new Error(`${kept}\n${place.workersTail()}`, { cause: error });
      }
    };
  }
}

let link: Link | undefined;

const shared = new SharedServers(async (home) => {
  const kafkaLink = link = await openLink();
  const stack = await startStack({ home, kafkaConfig: QUICK_COMPACTION, kafkaLinks: [kafkaLink.port] });
  kafkaLink.target = { host: "127.0.0.1", port: stack.kafkaLinkPorts[0] ?? 0 };
  return stack;
});

Deno.test.afterAll(async () => await link?.[Symbol.asyncDispose]());

/**
 * A way to Kafka that a test can break, beside the usual one: who takes 127.0.0.1 and its port as bootstrap server stays
 * behind it. It is well again when the test ends.
 */
export async function linkToKafka(): Promise<Link> {
  await shared.started();
  if (link === undefined) throw new TypeError("the servers started without their link");
  return link;
}

/** The servers of this test file. */
export function servers(): Promise<Stack> {
  return shared.started();
}

/**
 * The body of a test that has a topic and a database of its own.
 *
 * @example
 * Deno.test("a reading becomes a row", onPlace({ partitions: 3 }, async (place) => { ... }));
 */
export const onPlace: typeof shared.onPlace = (options, body) =>
  shared.onPlace(options, async (place, t) => {
    try {
      await body(place, t);
    } finally {
      link?.heal();
    }
  });
