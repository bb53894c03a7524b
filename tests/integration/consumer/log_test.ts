import { deepStrictEqual, match, strictEqual } from "node:assert";
import { eventually } from "../../../lab/eventually.ts";
import { judge } from "../../support/judge.ts";
import { gapsOf, secondsOf } from "../../support/log_content.ts";
import { onPlace } from "../../support/services.ts";

Deno.test(
  "a consumer reads a partition to its end if a committed or aborted transaction is last, and stores each gap with its cause",
  onPlace({}, async (place) => {
    const sent = await place.publisher.send(secondsOf("a", 2));
    sent.push(...await place.publisher.transact(secondsOf("b", 3), "commit"));
    await place.consumeAll();
    await judge(place, sent);
    deepStrictEqual(await gapsOf(place), ["0: 5 to 6 control"]);

    await place.publisher.transact(secondsOf("c", 4), "abort");
    await place.consumeAll();
    await judge(place, sent);
    deepStrictEqual(await gapsOf(place), ["0: 5 to 6 control", "0: 6 to 10 aborted", "0: 10 to 11 control"]);
  }),
);

Deno.test(
  "a consumer stores no record of an aborted transaction, even if the marker arrives several fetches later",
  onPlace({}, async (place) => {
    // The 10 MB do not fit into one fetch response, so the consumer gets records before the marker that aborts them.
    const padding = "x".repeat(2_000);
    const aborted = secondsOf("aborted", 5_000).map((record) => {
      return { ...record, value: { ...record.value, padding } };
    });
    const sent = await place.publisher.send(secondsOf("before", 3));
    await place.publisher.transact(aborted, "abort");
    sent.push(...await place.publisher.transact(secondsOf("after", 3), "commit"));
    await place.consumeAll();
    await judge(place, sent);
    const gaps = await place.sql(
      "select sum(to_offset - from_offset) as offsets from public.ingest_gaps where cause = 'aborted'",
    );
    deepStrictEqual(gaps, [{ offsets: "5000" }]);
  }),
);

Deno.test(
  "a consumer reads no record from the start of an open transaction on until the transaction ends",
  onPlace({}, async (place) => {
    const consumer = place.consumer();
    const sent = await place.publisher.send(secondsOf("before", 3));
    const { sent: inside, close } = await place.publisher.openTransaction(secondsOf("inside", 3));
    const after = await place.publisher.send(secondsOf("after", 3));
    await place.untilCaughtUp();
    await judge(place, sent);
    strictEqual(await consumer.metric("heartbeat_lag_records"), 0);

    await close("commit");
    await eventually("the transaction's end in the log", async () => (await place.ends())[0] === 10);
    await place.untilCaughtUp();
    await judge(place, [...sent, ...inside, ...after]);
    deepStrictEqual(await gapsOf(place), ["0: 9 to 10 control"]);
  }),
);

Deno.test(
  "records that compaction removed become gaps, and the remaining records are stored",
  onPlace({
    topicConfig: {
      "cleanup.policy": "compact",
      "segment.ms": "100",
      "min.cleanable.dirty.ratio": "0.01",
      "min.compaction.lag.ms": "0",
    },
  }, async (place) => {
    const size = async () => {
      const [broker] = await place.admin.describeLogDirs({
        topics: [{ name: place.topic, partitions: [0] }],
      });
      const topic = broker?.results[0]?.topics.find(({ name }) => name === place.topic);
      return Number(topic?.partitions[0]?.partitionSize);
    };
    const all = await place.publisher.send(secondsOf("a", 500));
    const before = await size();
    // Kafka compacts only closed segments. After segment.ms, the next record closes a segment.
    await eventually("compaction", async () => {
      all.push(...await place.publisher.send(secondsOf("b", 1)));
      return await size() < before / 2;
    });
    await place.consumeAll();
    // All readings of a customer share a key. The number of readings of b that Kafka removed depends on timing.
    const rows = await place.sql(
      "select distinct customer_id, heart_rate from public.heartbeats order by 1, 2",
    );
    deepStrictEqual(rows, [{ customer_id: "a", heart_rate: 79 }, { customer_id: "b", heart_rate: 60 }]);
    const [ledger] = await place.sql(
      "select next_offset, next_offset = stored + duplicates + gaps as adds_up, rejected from public.ingest_offsets",
    );
    deepStrictEqual(ledger, { next_offset: String(all.length), adds_up: true, rejected: "0" });
    match((await gapsOf(place))[0] ?? "", /^0: 0 to 499 compacted$/);
  }),
);
