import { deepStrictEqual, match, notStrictEqual, strictEqual } from "node:assert";
import { eventually } from "../../../lab/eventually.ts";
import type { Place } from "../../../lab/place.ts";
import type { WorkerProcess } from "../../../lab/worker_process.ts";
import { secondsOf } from "../../support/log_content.ts";
import { QUICK_TAKEOVER } from "../../support/quick_takeover.ts";
import { onPlace } from "../../support/services.ts";

type Row = {
  consumer: string;
  pid: number;
  group_id: string;
  topic: string;
  topic_id: string | null;
  partitions: number[];
  log_end_offsets: (string | null)[];
  reasons: string[];
  limits: Record<string, number>;
  rollup_lag_seconds: number | null;
  running: boolean;
};

/** Waits until the consumer's status row meets the condition. */
async function waitForStatus(
  place: Place,
  { pid }: WorkerProcess,
  isMet: (row: Row) => unknown,
): Promise<Row> {
  let row: Row | undefined;
  return await eventually("the status", async () => {
    [row] = await place.sql<Row>(
      `select *, seen_at > now() - interval '15 s' as running from public.consumer_status where pid = $1`,
      [pid],
    );
    return row !== undefined && isMet(row) ? row : undefined;
  }, { seen: () => row });
}

Deno.test(
  "a consumer's status has its identity and the reasons of /readyz before the topic exists, and its partitions afterwards",
  onPlace({ partitions: 0 }, async (place) => {
    // The topic's name is also a secret here, so the reasons must show *** instead of it.
    const env = { HEART_RATE_LOW: "50", HEARTBEAT_READER_PASSWORD: place.topic };
    const consumer = place.consumer({ env });
    await consumer.untilNotReady(/topic: \*\*\* does not exist/);
    const waiting = await waitForStatus(
      place,
      consumer,
      ({ reasons }) => reasons.some((reason) => reason.startsWith("topic: ")),
    );
    deepStrictEqual(JSON.parse((await consumer.get("/readyz")).text).reasons, waiting.reasons);
    deepStrictEqual([waiting.topic_id, waiting.partitions, waiting.log_end_offsets], [null, [], []]);
    deepStrictEqual([waiting.group_id, waiting.topic], [place.topic, place.topic]);
    deepStrictEqual(waiting.limits, { min: 30, max: 220, low: 50, high: 180 });

    await place.createTopic(2);
    const reading = await waitForStatus(place, consumer, ({ reasons, partitions }) => {
      return reasons.length === 0 && partitions.length === 2;
    });
    strictEqual(reading.consumer, waiting.consumer);
    strictEqual(reading.topic_id, (await place.describeTopic())?.id);
    deepStrictEqual(reading.partitions, [0, 1]);
    const [row] = await place.sql("select started_at < seen_at as ok from public.consumer_status");
    deepStrictEqual(row, { ok: true });

    const holder = await place.session();
    await holder.query("begin; select from public.rollup for update");
    await place.publisher.send(secondsOf("a", 5));
    await waitForStatus(place, consumer, ({ rollup_lag_seconds: lag }) => (lag ?? 0) > 0);
    await holder.end();
    await waitForStatus(place, consumer, ({ rollup_lag_seconds: lag }) => lag === 0);
  }),
);

Deno.test(
  "the log end offsets in a consumer's status rise while the consumer holds the partition and stores nothing",
  onPlace({}, async (place) => {
    await place.publisher.send(secondsOf("a", 10));
    await place.consumeAll();
    await place.publisher.send(secondsOf("b", 10));
    await place.admin.deleteRecords({
      topics: [{ name: place.topic, partitions: [{ partition: 0, offset: 15n }] }],
    });
    const consumer = place.consumer();
    await consumer.untilLogged("partition.held");
    const ends = (end: string) => ({ log_end_offsets }: Row) => log_end_offsets[0] === end;
    const held = await waitForStatus(place, consumer, ends("20"));
    match(held.reasons.join(), /partition 0: offset 10 is stored, but the log holds 15 to 20/);
    await place.publisher.send(secondsOf("c", 30));
    await waitForStatus(place, consumer, ends("50"));
    const ledger = await place.sql("select next_offset from public.ingest_offsets");
    deepStrictEqual(ledger, [{ next_offset: "10" }]);
  }),
);

Deno.test(
  "each consumer has a status row with its own partitions; the row grows old after a kill, and a clean shutdown deletes it",
  onPlace({ partitions: 4 }, async (place) => {
    const [killed, stopped] = [
      place.consumer({ env: QUICK_TAKEOVER }),
      place.consumer({ env: QUICK_TAKEOVER }),
    ];
    const halves = [killed, stopped].map((consumer) =>
      waitForStatus(place, consumer, ({ partitions, log_end_offsets }) => {
        return partitions.length === 2 && log_end_offsets.every((end) => end === "0");
      })
    );
    const [first, second] = await Promise.all(halves);
    notStrictEqual(first?.consumer, second?.consumer);
    deepStrictEqual([...first?.partitions ?? [], ...second?.partitions ?? []].sort(), [0, 1, 2, 3]);

    killed.kill("SIGKILL");
    await waitForStatus(place, stopped, ({ partitions }) => partitions.length === 4);
    const old = await waitForStatus(place, killed, ({ running }) => !running);
    deepStrictEqual([old.consumer, old.partitions], [first?.consumer, first?.partitions]);
    await waitForStatus(place, stopped, ({ running }) => running);

    await place.sql(
      "update public.consumer_status set seen_at = now() - interval '25 hours' where pid = $1",
      [killed.pid],
    );
    await eventually("the row that is older than a day to be deleted", async () => {
      return (await place.sql("select from public.consumer_status")).length === 1;
    });
    strictEqual(await stopped.stop(), 0);
    deepStrictEqual(await place.sql("select from public.consumer_status"), []);
  }),
);

Deno.test(
  "a consumer that cannot store its status continues to read, and stores the status as soon as it can",
  onPlace({}, async (place) => {
    const consumer = place.consumer({ env: { LOG_LEVEL: "debug" } });
    await waitForStatus(place, consumer, ({ partitions }) => partitions.length === 1);
    await place.sql("alter table public.consumer_status rename to renamed");
    await consumer.untilLogged("status.failed");
    await place.publisher.send(secondsOf("a", 10));
    await place.untilCaughtUp();
    await consumer.untilReady();
    await place.sql("alter table public.renamed rename to consumer_status");
    await waitForStatus(place, consumer, ({ log_end_offsets }) => log_end_offsets[0] === "10");
    deepStrictEqual(consumer.lines.filter(({ level }) => level !== "info" && level !== "debug"), []);
  }),
);

Deno.test(
  "a consumer that gives up leaves its status row with the reason",
  onPlace({}, async (place) => {
    const consumer = place.consumer();
    await waitForStatus(place, consumer, ({ partitions }) => partitions.length === 1);
    await place.sql("update public.ingest_offsets set schema_generation = schema_generation + 1");
    await place.publisher.send(secondsOf("a", 10));
    strictEqual(await consumer.exitCode(), 1);
    await waitForStatus(place, consumer, ({ reasons, log_end_offsets }) => {
      return /^consumer: Cannot write .*generation 2/.test(reasons.join()) && log_end_offsets[0] !== null;
    });
  }),
);
