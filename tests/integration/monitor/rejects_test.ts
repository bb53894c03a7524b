import { deepStrictEqual, match, ok, strictEqual } from "node:assert";
import type { Place } from "../../../lab/place.ts";
import type { RejectFilter } from "../../../workers/monitor/view/view.ts";
import { bad, reading } from "../../support/judge.ts";
import { openQueries } from "../../support/monitor_queries.ts";
import { onPlace } from "../../support/services.ts";

const HOUR_MS = 3_600_000;
const ALL = { reason: undefined, customerId: undefined, before: undefined };

const lastHour = () => ({ from: Date.now() - HOUR_MS, to: Date.now() + 60_000 });

Deno.test(
  "a reject has its place, reason and payload, as text where it is text, else as hex, and at most 4 KB",
  onPlace({}, async (place) => {
    await using asked = await openQueries(place);
    const long = `{"customer_id":"é${"é".repeat(3_000)}"`;
    await place.publisher.send([
      bad("invalid_json", '{"a":\t<script>alert("é心😀")</script>\r\n'),
      bad("invalid_utf8", new Uint8Array([0x7b, 0xff, 0x00])),
      bad("invalid_json", "{\u0007"),
      bad("invalid_json", "\u009b31m"),
      bad("tombstone", null),
      bad("invalid_json", long),
      bad("empty_value", ""),
    ]);
    await place.consumeAll();
    const { rejects, next, overTime } = await asked.queries.rejects({ ...ALL, range: lastHour() });
    const shown = rejects.toReversed().map(({ offset, reason, payload }) => [offset, reason, payload]);
    deepStrictEqual(shown, [
      ["0", "invalid_json", {
        encoding: "text",
        text: '{"a":\t<script>alert("é心😀")</script>\r\n',
        cut: false,
      }],
      ["1", "invalid_utf8", { encoding: "hex", text: "7bff00", cut: false }],
      ["2", "invalid_json", { encoding: "hex", text: "7b07", cut: false }],
      ["3", "invalid_json", { encoding: "hex", text: "c29b33316d", cut: false }],
      ["4", "tombstone", null],
      ["5", "invalid_json", { encoding: "text", text: long.slice(0, 16 + 2_040), cut: true }],
      ["6", "empty_value", { encoding: "text", text: "", cut: false }],
    ]);
    const [first] = rejects;
    deepStrictEqual([first?.topic, first?.partition, first?.emptied], [place.topic, 0, false]);
    match(rejects.at(-1)?.detail ?? "", /JSON/);
    ok(Math.abs((first?.at ?? 0) - Date.now()) < 60_000);
    strictEqual(next, undefined);
    deepStrictEqual(overTime.reasons.map(({ reason, total }) => [reason, total]), [
      ["invalid_json", 4],
      ["empty_value", 1],
      ["invalid_utf8", 1],
      ["tombstone", 1],
    ]);
    await place.sql(
      "update public.heartbeat_rejects set key = null, payload = null, detail = '', emptied_at = now()",
    );
    const emptied = await asked.queries.rejects({ ...ALL, range: lastHour() });
    deepStrictEqual(
      emptied.rejects.map(({ payload, emptied }) => [payload, emptied]),
      Array(7).fill([null, true]),
    );
  }),
);

Deno.test(
  "rejects of a customer are found by the key, and by the member of the payload, as a string or an integer",
  onPlace({}, async (place) => {
    await using asked = await openQueries(place);
    const of = (value: string, key: string | null = null) => bad("invalid_heart_rate", value, { key });
    const rest = '"timestamp":"2026-07-14T09:30:00Z","heart_rate":"x"}';
    await place.publisher.send([
      of(`{"customer_id":"é-7",${rest}`),
      of(`{"customer_id": "\\u00e9-7", ${rest}`),
      of("{", "é-7"),
      of(`{"customer_id":"é-77",${rest}`),
      of(`{"name":"é-7",${rest}`),
      of(`{"customer_id":42,${rest}`),
      of(`{"customer_id":421,${rest}`),
      of(`{"heart_rate":"x","customer_id": 42}`),
      of(`{"customer_id":"42",${rest}`),
      reading("é-7", "2026-07-14T09:30:00Z", 70),
    ]);
    await place.consumeAll();
    const range = lastHour();
    const offsets = async (customerId: string) =>
      (await asked.queries.rejects({ ...ALL, customerId, range })).rejects.map(({ offset }) => Number(offset))
        .sort();
    deepStrictEqual([await offsets("é-7"), await offsets("42"), await offsets("é")], [
      [0, 1, 2],
      [5, 7, 8],
      [],
    ]);
    const { rejects } = await asked.queries.customer("é-7", range);
    deepStrictEqual(rejects.map(({ offset }) => offset).toSorted(), ["0", "1", "2"]);
  }),
);

/** Rejects at these instants, as many as `count` at each. */
async function insert(
  place: Place,
  { reason, from }: { reason: string; from: number },
  atMs: readonly number[],
  count = 1,
): Promise<void> {
  await place.sql(
    `insert into public.heartbeat_rejects (ledger_id, topic, kafka_partition, kafka_offset, reason, detail, rejected_at)
     select 1, 't', 0, $2 + place * $4 + n, $1, '', to_timestamp(at / 1000)
       from unnest($3::float8[]) with ordinality as at (at, place), generate_series(1, $4::int) n`,
    [reason, from, atMs, count],
  );
}

Deno.test(
  "pages of rejects have each reject once, the newest first, also if many have the same instant",
  onPlace({ partitions: 0 }, async (place) => {
    await using asked = await openQueries(place);
    await place.sql(
      "insert into public.ingest_offsets (topic, topic_id, kafka_partition, first_offset, next_offset) values ('t', gen_random_uuid(), 0, 0, 0)",
    );
    const now = Date.now();
    await insert(place, { reason: "invalid_json", from: 0 }, [now - 1_000.5, now - 2_000, now - 3_000], 60);
    await insert(place, { reason: "tombstone", from: 1_000 }, [now - 2_000]);
    await insert(place, { reason: "tombstone", from: 2_000 }, [now - 2 * HOUR_MS, now + HOUR_MS]);
    const filter: RejectFilter = { ...ALL, range: lastHour() };
    const pages: number[][] = [];
    let before: string | undefined;
    do {
      const { rejects, next } = await asked.queries.rejects({ ...filter, before });
      pages.push(rejects.map(({ offset }) => Number(offset)));
      before = next;
    } while (before !== undefined);
    deepStrictEqual(pages.map(({ length }) => length), [50, 50, 50, 31]);
    strictEqual(new Set(pages.flat()).size, 181);
    const ats = (await place.sql<{ o: string }>(
      "select kafka_offset as o from public.heartbeat_rejects where rejected_at between now() - interval '1 hour' and now() order by rejected_at desc, kafka_offset desc",
    )).map(({ o }) => Number(o));
    deepStrictEqual(pages.flat(), ats);
    const tombstones = await asked.queries.rejects({ ...filter, reason: "tombstone" });
    deepStrictEqual(tombstones.rejects.map(({ offset }) => offset), ["1002"]);
  }),
);

Deno.test(
  "rejects are counted by reason in at most 60 equal steps of the range",
  onPlace({ partitions: 0 }, async (place) => {
    await using asked = await openQueries(place);
    await place.sql(
      "insert into public.ingest_offsets (topic, topic_id, kafka_partition, first_offset, next_offset) values ('t', gen_random_uuid(), 0, 0, 0)",
    );
    const from = Date.now() - HOUR_MS;
    const range = { from, to: from + HOUR_MS };
    await insert(place, { reason: "invalid_json", from: 0 }, [
      from,
      from + 59_999,
      from + 60_000,
      from + HOUR_MS - 1,
    ], 2);
    await insert(place, { reason: "tombstone", from: 100 }, [from + 60_000, from - 1, from + HOUR_MS]);
    const { overTime: { stepMs, reasons } } = await asked.queries.rejects({ ...ALL, range });
    strictEqual(stepMs, 60_000);
    deepStrictEqual(reasons.map(({ reason, total, counts }) => [reason, total, counts.length]), [
      ["invalid_json", 8, 60],
      ["tombstone", 1, 60],
    ]);
    const filled = reasons.map(({ counts }) => Object.entries(counts).filter(([, count]) => count > 0));
    deepStrictEqual(filled, [[["0", 4], ["1", 2], ["59", 2]], [["1", 1]]]);
    const { overTime } = await asked.queries.rejects({ ...ALL, range: { from: from - 1, to: from + 6 } });
    deepStrictEqual([overTime.stepMs, overTime.reasons.map(({ counts }) => counts)], [1, [[
      0,
      2,
      0,
      0,
      0,
      0,
      0,
    ], [1, 0, 0, 0, 0, 0, 0]]]);
  }),
);

Deno.test(
  "the list leaves out the scenarios task, a reject is found by its own address, and the count has every reject",
  onPlace({}, async (place) => {
    await using asked = await openQueries(place);
    const of = (key: string | null) => bad("invalid_json", "{", { key });
    await place.publisher.send([of("ada"), of("scenario-1-x"), of(null)]);
    await place.consumeAll();
    const range = lastHour();
    const { rejects, rejected, overTime } = await asked.queries.rejects({ ...ALL, range });
    deepStrictEqual(rejects.map(({ offset }) => offset).toSorted(), ["0", "2"]);
    deepStrictEqual([rejected, overTime.reasons.map(({ total }) => total)], [3, [2]]);
    strictEqual((await asked.queries.rejected()).rejected, 3);
    const ofScenario = await asked.queries.rejects({ ...ALL, customerId: "scenario-1-x", range });
    deepStrictEqual(ofScenario.rejects.map(({ offset }) => offset), ["1"]);
    const record = ofScenario.rejects[0]?.record;
    const one = await asked.queries.rejects({ ...ALL, record, range: { from: 0, to: 1 } });
    deepStrictEqual(one.rejects.map(({ offset }) => offset), ["1"]);
  }),
);
