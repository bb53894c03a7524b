import { deepStrictEqual, match, strictEqual } from "node:assert";
import { join } from "node:path";
import { eventually } from "../../lab/eventually.ts";
import { judge } from "../support/judge.ts";
import { gapsOf, secondsOf } from "../support/log_content.ts";
import type { Place } from "../../lab/place.ts";
import { onPlace } from "../support/services.ts";
import { accountFor } from "./account.ts";
import { waitForNextOffsets } from "./load.ts";

/** @returns one line for each ledger row, oldest first */
async function ledgerRows(place: Place): Promise<string[]> {
  const rows = await place.sql(
    `select format('%s to %s, %s stored', first_offset, next_offset, stored) as line
       from public.ingest_offsets order by opened_at`,
  );
  return rows.map(({ line }) => String(line));
}

Deno.test(
  "a consumer holds a partition after its unread records are deleted, and with KAFKA_OFFSET_RESET=earliest it stores a gap",
  onPlace({ partitions: 2 }, async (place) => {
    const first = await place.publisher.send([...secondsOf("a", 10, 0), ...secondsOf("b", 10, 1)]);
    await place.consumeAll();
    const second = await place.publisher.send([...secondsOf("c", 10, 0), ...secondsOf("d", 10, 1)]);
    await place.admin.deleteRecords({
      topics: [{ name: place.topic, partitions: [{ partition: 0, offset: 15n }] }],
    });
    const consumer = place.consumer();
    await consumer.untilNotReady(/partition 0: offset 10 is stored, but the log holds 15 to 20: 5 records/);
    const others = second.filter(({ partition }) => partition === 1);
    await waitForNextOffsets(place, { 1: 20 });
    await judge(place, [...first, ...others]);
    strictEqual((await consumer.get("/livez")).status, 200);
    strictEqual(consumer.events("partition.held").length, 1);
    await eventually("the lag metric of the held partition", async () => {
      return await consumer.metric("heartbeat_lag_records", 'partition="0"') === 10;
    });
    strictEqual(await consumer.stop(), 0);

    const untilCaughtUp = place.consumer({ args: ["--until-caught-up"] });
    strictEqual(await untilCaughtUp.exitCode(), 1);
    match(
      untilCaughtUp.output,
      /Cannot catch up: offset of partition 0: offset 10 is stored.*KAFKA_OFFSET_RESET=earliest/,
    );

    await place.consumeAll({ env: { KAFKA_OFFSET_RESET: "earliest" } });
    deepStrictEqual(await gapsOf(place), ["0: 10 to 15 log_start"]);
    const left = second.filter(({ partition, offset }) => partition === 1 || offset >= 15);
    await accountFor(place, [...first, ...left]);
  }),
);

Deno.test(
  "a consumer holds a partition if its log ends below the stored offset, and with KAFKA_OFFSET_RESET=earliest it reads the log again",
  onPlace({}, async (place) => {
    const folder = join(place.stack.home, "kafka", "data", `${place.topic}-0`);
    const segment = join(folder, "00000000000000000000.log");
    const kept = await place.publisher.send(secondsOf("kept", 10));
    const { size } = await Deno.stat(segment);
    const lost = await place.publisher.send(secondsOf("lost", 10));
    await place.consumeAll();
    // This is the state after a power cut that lost the broker's page cache.
    await place.stack.kafka.kill();
    for await (const { name } of Deno.readDir(folder)) {
      if (/index$|snapshot$/.test(name)) await Deno.remove(join(folder, name));
    }
    await Deno.truncate(segment, size);
    await place.stack.kafka.start();
    await eventually("the log to end at offset 10", async () => (await place.ends())[0] === 10);

    const consumer = place.consumer();
    await consumer.untilNotReady(
      /partition 0: offset 20 is stored, but the log .*log lost records that are stored/,
    );
    await judge(place, [...kept, ...lost]);
    strictEqual(await consumer.stop(), 0);

    await place.publisher.forget();
    const recent = await place.publisher.send(secondsOf("recent", 5));
    await place.consumeAll({ env: { KAFKA_OFFSET_RESET: "earliest" } });
    deepStrictEqual(await ledgerRows(place), ["0 to 20, 20 stored", "0 to 15, 5 stored"]);
    // The consumer reads the kept records a second time and counts them as duplicates.
    await judge(place, [...kept, ...lost, ...recent], { resent: true });
  }),
);

Deno.test(
  "a consumer continues at the offset of a restored database, not at the offset of its group",
  onPlace({}, async (place) => {
    const sent = await place.publisher.send(secondsOf("a", 10));
    await place.consumeAll();
    // The backup has all tables as they were after the first four records.
    await place.sql(
      "create table backup as select * from public.heartbeats order by ts, customer_id limit 4",
    );
    sent.push(...await place.publisher.send(secondsOf("b", 10)));
    await place.consumeAll();
    await place.sql(`
      truncate public.heartbeats, public.heartbeats_1m, public.customer_latest, public.rollup_positions;
      insert into public.heartbeats select * from backup;
      insert into public.heartbeats_1m
      select customer_id, date_trunc('minute', ts, 'UTC'), count(*), sum(heart_rate), min(heart_rate), max(heart_rate), 0, 0
        from backup group by 1, 2;
      insert into public.customer_latest
      select distinct on (customer_id) customer_id, ts, heart_rate, anomaly from backup order by customer_id, ts desc;
      update public.ingest_offsets set next_offset = 4, stored = 4;
      insert into public.rollup_positions select id, moves, next_offset from public.ingest_offsets`);
    const groups = await place.admin.listConsumerGroupOffsets({ groups: [{ groupId: place.topic }] });
    strictEqual(
      groups[0]?.topics[0]?.partitions[0]?.committedOffset,
      20n,
      "the committed offset must be ahead of the database",
    );
    await place.consumeAll();
    await accountFor(place, sent);
  }),
);

Deno.test(
  "after its topic is deleted and created again, a restarted consumer reads the new log from its beginning, even if it is longer",
  onPlace({}, async (place) => {
    const old = await place.publisher.send(secondsOf("old", 5));
    await place.consumeAll();
    await place.deleteTopic();
    await place.createTopic(1);
    const recent = await place.publisher.send(secondsOf("new", 8));
    const consumer = await place.consumeAll();
    await accountFor(place, [...old, ...recent]);
    deepStrictEqual(await ledgerRows(place), ["0 to 5, 5 stored", "0 to 8, 8 stored"]);
    strictEqual(consumer.events("topic.replaced").length, 1);
  }),
);

Deno.test(
  "a consumer that was frozen while its topic was created again reads the new log from its beginning",
  onPlace({}, async (place) => {
    const consumer = place.consumer();
    const old = await place.publisher.send(secondsOf("old", 5));
    await place.untilCaughtUp();
    consumer.kill("SIGSTOP");
    await place.deleteTopic();
    await place.createTopic(1);
    const recent = await place.publisher.send(secondsOf("new", 8));
    consumer.kill("SIGCONT");
    await accountFor(place, [...old, ...recent]);
    deepStrictEqual(await ledgerRows(place), ["0 to 5, 5 stored", "0 to 8, 8 stored"]);
    strictEqual(
      consumer.events("topic.missing").length,
      0,
      "the freeze must hide the deletion from the consumer",
    );
  }),
);
