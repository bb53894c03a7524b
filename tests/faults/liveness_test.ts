/** A consumer that cannot get on although it could: it says so, and ends, instead of looking well for days. */
import { deepStrictEqual, match, strictEqual } from "node:assert";
import { eventually } from "../../lab/eventually.ts";
import { type Intended, reading } from "../support/judge.ts";
import { onPlace } from "../support/services.ts";
import type { WorkerProcess } from "../../lab/worker_process.ts";
import { accountFor } from "./account.ts";
import { backlog } from "./backlog.ts";

/** Longer than the consumer's own 30 s until it is red, and 30 s more until it ends. */
const PATIENCE = { withinMs: 150_000 };

async function red(consumer: WorkerProcess): Promise<string> {
  const { text } = await eventually("liveness to turn red", async () => {
    const answer = await consumer.get("/livez");
    return answer.status === 503 && answer;
  }, PATIENCE);
  return text;
}

Deno.test(
  "writes that fail although both servers answer turn liveness red, then end the process; repaired, all is stored",
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
    match(await red(consumer), /writes: lag, and both servers answer, yet nothing was committed/);
    strictEqual((await consumer.get("/readyz")).status, 503);
    strictEqual(await consumer.exitCode(PATIENCE), 1);
    match(consumer.output, /Cannot go on: writes: lag, and both servers answer/);
    deepStrictEqual(await place.sql("select rejected from public.ingest_offsets"), [{ rejected: "3" }]);

    const successor = place.consumer();
    await successor.notReady(/database: .*a trigger that somebody forgot/);
    await place.sql("drop trigger refuse on public.heartbeats");
    await accountFor(place, sent);
    await successor.ready();
    strictEqual((await successor.get("/livez")).status, 200);
  }),
);

Deno.test(
  "one partition whose writes fail while another gets on is named until the process ends; repaired, all is stored",
  onPlace({ partitions: 2 }, async (place) => {
    const consumer = place.consumer();
    const one = (customer: string, partition: number): Intended[] => [
      reading(customer, "2026-07-14T09:30:00Z", 70, { partition }),
    ];
    const sent = await place.publisher.send([...one("before-0", 0), ...one("before-1", 1)]);
    await accountFor(place, sent);
    await place.sql(`
      create function public.refuse() returns trigger language plpgsql as $$
        begin
          if new.customer_id like 'refused%' then raise exception 'a trigger that somebody forgot'; end if;
          return new;
        end $$;
      create trigger refuse before insert on public.heartbeats
        for each row execute function public.refuse()`);
    sent.push(...await place.publisher.send([...one("refused", 0), ...one("behind-it", 0)]));
    const named = /database: .*a trigger that somebody forgot.*\(partition 0\)/;
    await consumer.notReady(named);
    const silences: string[] = [];
    await eventually("liveness to turn red", async () => {
      sent.push(...await place.publisher.send(one(`other-${sent.length}`, 1)));
      const { status, text } = await consumer.get("/readyz");
      if (status !== 503 || !named.test(text)) silences.push(text);
      const live = await consumer.get("/livez");
      return live.status === 503 && /nothing was committed of partition 0 for/.test(live.text);
    }, PATIENCE);
    deepStrictEqual(silences, [], "readiness names it all the time");
    strictEqual(await consumer.exitCode(PATIENCE), 1);
    match(
      consumer.output,
      /Cannot go on: writes: lag, and both servers answer, .* of partition 0 for.*; database: .*a trigger that somebody/,
    );
    strictEqual(consumer.events("database.failed").length, 1, "said once");

    const successor = place.consumer();
    await successor.notReady(named);
    await place.sql("drop trigger refuse on public.heartbeats");
    await accountFor(place, sent);
    await successor.ready();
    strictEqual((await successor.get("/livez")).status, 200);
  }),
);

Deno.test(
  "a query that is never answered hangs its loop: liveness turns red, the process ends, and its successor goes on",
  onPlace({}, async (place) => {
    const hanging = place.consumer({ preload: "tests/support/preload/hang.ts" });
    const sent = await place.publisher.send(backlog(0, 300, 1));
    await accountFor(place, sent);
    hanging.kill("SIGUSR2");
    sent.push(...await place.publisher.send(backlog(300, 300, 1)));
    match(await red(hanging), /write partition 0: no attempt began or ended for/);
    strictEqual(await hanging.exitCode(PATIENCE), 1);
    // The loop that hangs cannot be waited for: it is named, and left.
    match(hanging.output, /Cannot go on: write partition 0: [^]*Stopped without finishing after 10 s/);
    place.consumer();
    await accountFor(place, sent);
  }),
);
