import { type Link, openLink } from "../../stack/network/link.ts";
import { type Stack, startStack } from "../../stack/mod.ts";
import { createPlace, type Place, type PlaceOptions } from "../../lab/place.ts";

// By default the broker looks for logs to compact every 15 s.
const QUICK_COMPACTION = { "log.cleaner.backoff.ms": "200" };

// The broker of a test lives for seconds. If Java compiles code only once, it takes a quarter less CPU time.
Deno.env.set("JAVA_TOOL_OPTIONS", `${Deno.env.get("JAVA_TOOL_OPTIONS") ?? ""} -XX:TieredStopAtLevel=1`);

/** Servers that the tests of a file share. They start at the first use and are deleted after the last test. */
export class SharedServers<S extends Stack = Stack> {
  readonly #start: (home: string) => Promise<S>;
  #starting: Promise<S> | undefined;
  #failed = false;

  constructor(start: (home: string) => Promise<S>) {
    this.#start = start;
    Deno.test.afterAll(async () => {
      const stack = await this.#starting;
      // After a failed test the data stays, and startStack({ home }) opens it again.
      if (this.#failed) await stack?.[Symbol.asyncDispose]();
      else await stack?.destroy();
    });
  }

  started(): Promise<S> {
    return this.#starting ??= this.#startOnFreePorts();
  }

  /** Two test files that run at the same time can choose the same port before either listens on it. */
  async #startOnFreePorts(): Promise<S> {
    const start = async () => await this.#start(await Deno.makeTempDir({ prefix: "heartbeat-test-" }));
    return await start().catch((error) => {
      if (!/Address already in use/.test(String(error))) throw error;
      return start();
    });
  }

  /** Returns the body of a test that has its own topic and database. */
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
        // The error message contains it, because a quiet run hides what a test prints.
        const { home, postgresFolder } = place.stack;
        const kept = `kept: topic ${place.topic} in ${home}, database ${place.database} in ${postgresFolder}`;
        throw new Error(`${kept}\n${place.workersTail()}`, { cause: error });
      }
    };
  }
}

let link: Link | undefined;

const shared = new SharedServers(async (home) => {
  await link?.[Symbol.asyncDispose]();
  const kafkaLink = link = await openLink();
  const stack = await startStack({ home, kafkaConfig: QUICK_COMPACTION, kafkaLinks: [kafkaLink.port] });
  kafkaLink.target = { host: "127.0.0.1", port: stack.kafkaLinkPorts[0] ?? 0 };
  return stack;
});

Deno.test.afterAll(async () => await link?.[Symbol.asyncDispose]());

/**
 * A link to Kafka that a test can break. A client that uses it as bootstrap server reaches Kafka only through this link.
 * The link is healed when the test ends.
 */
export async function linkToKafka(): Promise<Link> {
  await shared.started();
  if (link === undefined) throw new TypeError("the servers started without the link");
  return link;
}

export function servers(): Promise<Stack> {
  return shared.started();
}

/**
 * Returns the body of a test that has its own topic and database.
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
