import { deepStrictEqual, match, strictEqual } from "node:assert";
import { eventually } from "../../../lab/eventually.ts";
import { type Intended, reading } from "../../support/judge.ts";
import { onPlace } from "../../support/services.ts";
import type { WorkerProcess } from "../../../lab/worker_process.ts";
import { accountFor } from "../account.ts";
import { backlog } from "../backlog.ts";

/** Liveness fails after 30 s, and the process exits 30 s later. */
const PATIENCE = { withinMs: 150_000 };

async function waitForFailedLiveness(consumer: WorkerProcess): Promise<string> {
  const { text } = await eventually("liveness to fail", async () => {
    const response = await consumer.get("/livez");
    return response.status === 503 && response;
  }, PATIENCE);
  return text;
}

Deno.test(
  "if all writes fail while both servers answer, a consumer fails liveness and exits",
  onPlace({}, async (place) => {
    const consumer = place.consumer();
    const sent = await place.publisher.send(backlog(0, 300, 1));
    await accountFor(place, sent);
    await place.sql(`
      create function public.refuse() returns trigger language plpgsql
        as $$ begin raise exception 'a trigger that somebody forgot'; end $$;
      create trigger refuse before insert on public.heartbeats
        for each row execute function public.refuse()`);
    sent.push(...await place.publisher.send(backlog(300, 300, 1)));
    match(
      await waitForFailedLiveness(consumer),
      /writes: lag, and both servers answer, yet nothing was committed/,
    );
    strictEqual((await consumer.get("/readyz")).status, 503);
    strictEqual(await consumer.exitCode(PATIENCE), 1);
    match(consumer.output, /Cannot go on: writes: lag, and both servers answer/);
    deepStrictEqual(await place.sql("select rejected from public.ingest_offsets"), [{ rejected: "3" }]);

    const successor = place.consumer();
    await successor.untilNotReady(/database: .*a trigger that somebody forgot/);
    await place.sql("drop trigger refuse on public.heartbeats");
    await accountFor(place, sent);
    await successor.untilReady();
    strictEqual((await successor.get("/livez")).status, 200);
  }),
);

Deno.test(
  "if only the writes of one partition fail, a consumer names it in readiness, fails liveness and exits",
  onPlace({ partitions: 2 }, async (place) => {
    const consumer = place.consumer();
    const readingOf = (customer: string, partition: number): Intended =>
      reading(customer, "2026-07-14T09:30:00Z", 70, { partition });
    const sent = await place.publisher.send([readingOf("before-0", 0), readingOf("before-1", 1)]);
    await accountFor(place, sent);
    await place.sql(`
      create function public.refuse() returns trigger language plpgsql as $$
        begin
          if new.customer_id like 'refused%' then raise exception 'a trigger that somebody forgot'; end if;
          return new;
        end $$;
      create trigger refuse before insert on public.heartbeats
        for each row execute function public.refuse()`);
    sent.push(...await place.publisher.send([readingOf("refused", 0), readingOf("behind-it", 0)]));
    const named = /database: .*a trigger that somebody forgot.*\(partition 0\)/;
    await consumer.untilNotReady(named);
    const unnamed: string[] = [];
    await eventually("liveness to fail", async () => {
      sent.push(...await place.publisher.send([readingOf(`other-${sent.length}`, 1)]));
      const { status, text } = await consumer.get("/readyz");
      if (status !== 503 || !named.test(text)) unnamed.push(text);
      const live = await consumer.get("/livez");
      return live.status === 503 && /nothing was committed of partition 0 for/.test(live.text);
    }, PATIENCE);
    deepStrictEqual(unnamed, [], "readiness did not always name the partition");
    strictEqual(await consumer.exitCode(PATIENCE), 1);
    match(
      consumer.output,
      /Cannot go on: writes: lag, and both servers answer, .* of partition 0 for.*; database: .*a trigger that somebody/,
    );
    strictEqual(consumer.events("database.failed").length, 1);

    const successor = place.consumer();
    await successor.untilNotReady(named);
    await place.sql("drop trigger refuse on public.heartbeats");
    await accountFor(place, sent);
    await successor.untilReady();
    strictEqual((await successor.get("/livez")).status, 200);
  }),
);

Deno.test(
  "if a loop waits for an unanswered query for ever, a consumer fails liveness and exits",
  onPlace({}, async (place) => {
    const hanging = place.consumer({ preload: "tests/support/preload/hang.ts" });
    const sent = await place.publisher.send(backlog(0, 300, 1));
    await accountFor(place, sent);
    hanging.kill("SIGUSR2");
    sent.push(...await place.publisher.send(backlog(300, 300, 1)));
    match(await waitForFailedLiveness(hanging), /write partition 0: no attempt began or ended for/);
    strictEqual(await hanging.exitCode(PATIENCE), 1);
    // The process names the loop that hangs, and exits without waiting for it.
    match(hanging.output, /Cannot go on: write partition 0: [^]*Stopped without finishing after 10 s/);
    place.consumer();
    await accountFor(place, sent);
  }),
);
