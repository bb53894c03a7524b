import { strictEqual } from "node:assert";
import { sleep } from "../../workers/_shared/backoff.ts";
import { reading } from "../support/judge.ts";
import { onPlace } from "../support/services.ts";

Deno.test(
  "a consumer with --until-caught-up exits even while a producer sends without a pause",
  onPlace({}, async (place) => {
    const stop = new AbortController();
    const { signal } = stop;
    const producing = (async () => {
      for (let number = 0; !signal.aborted; number++) {
        const timestamp = new Date(Date.parse("2026-07-14T09:30:00Z") + number * 1_000).toISOString();
        await place.publisher.send([reading(`c-${number % 7}`, timestamp, 70)]);
        await sleep(5, { signal });
      }
    })();
    try {
      const consumer = place.consumer({ args: ["--until-caught-up", "--timeout", "20"] });
      strictEqual(await consumer.exitCode(), 0, consumer.output.slice(-2000));
    } finally {
      stop.abort();
      await producing;
    }
  }),
);
