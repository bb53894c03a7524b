import { deepStrictEqual, match, ok, strictEqual } from "node:assert";
import { eventually } from "../../../lab/eventually.ts";
import { bad, reading } from "../../support/judge.ts";
import { openQueries } from "../../support/monitor_queries.ts";
import { onPlace } from "../../support/services.ts";

Deno.test(
  "the ledger says for each log what became of its offsets, by cause of gaps, and the lag while a consumer runs",
  onPlace({ partitions: 2 }, async (place) => {
    await using asked = await openQueries(place);
    deepStrictEqual((await asked.queries.ledger()).logs, []);
    const at = "2026-07-14T09:30:00Z";
    await place.publisher.send([reading("a", at, 70), reading("a", at, 70), bad("invalid_json", "{")]);
    await place.publisher.transact([reading("b", at, 70)], "commit");
    await place.publisher.transact([reading("c", at, 70)], "abort");
    const consumer = place.consumer();
    await place.untilStored();
    const { logs: [log, other], unaccounted } = await eventually("the ends of the logs", async () => {
      const ledger = await asked.queries.ledger();
      return ledger.logs.every(({ lag }) => lag === "0") && ledger;
    });
    const { lastBatch, ...rest } = log ?? {};
    deepStrictEqual(rest, {
      topic: place.topic,
      partition: 0,
      current: true,
      first: "0",
      next: "7",
      stored: "2",
      duplicates: "1",
      rejected: "1",
      gaps: [{ cause: "aborted", offsets: "1" }, { cause: "control", offsets: "2" }],
      unaccounted: "0",
      lag: "0",
    });
    ok(Math.abs((lastBatch ?? 0) - Date.now()) < 60_000);
    deepStrictEqual([other?.partition, other?.next, other?.gaps, other?.lastBatch, unaccounted], [
      1,
      "0",
      [],
      null,
      "0",
    ]);
    await consumer.stop();
    deepStrictEqual((await asked.queries.ledger()).logs.map(({ lag }) => lag), [null, null]);
  }),
);

Deno.test(
  "older incarnations come after the current ones, and a deficit and a surplus do not cancel",
  onPlace({ partitions: 0 }, async (place) => {
    await using asked = await openQueries(place);
    await place.sql("alter table public.ingest_offsets drop constraint ingest_offsets_accounted");
    await place.sql(
      `insert into public.ingest_offsets (topic, topic_id, kafka_partition, generation, first_offset, next_offset, stored)
       values ('t', '00000000-0000-0000-0000-000000000001', 0, 0, 0, 10, 10),
              ('t', '00000000-0000-0000-0000-000000000002', 0, 0, 0, 10, 13),
              ('t', '00000000-0000-0000-0000-000000000002', 0, 1, 5, 9007199254740995, 9007199254740988)`,
    );
    await place.sql("insert into public.ingest_gaps values (1, 0, 5, 'log_start')");
    const { logs, unaccounted } = await asked.queries.ledger();
    deepStrictEqual(
      logs.map(({ current, first, next, unaccounted }) => [current, first, next, unaccounted]),
      [
        [true, "5", "9007199254740995", "2"],
        [false, "0", "10", "3"],
        [false, "0", "10", "5"],
      ],
    );
    strictEqual(unaccounted, "10");
    const { problems } = await asked.queries.now();
    match(problems.map(({ text }) => text).join("\n"), /^10 offsets are unaccounted for/m);
  }),
);
