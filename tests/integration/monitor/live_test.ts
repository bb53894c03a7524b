import { deepStrictEqual, match, ok, rejects, strictEqual, throws } from "node:assert";
import { Registry } from "prom-client";
import { beats } from "../../../lab/beats.ts";
import { eventually } from "../../../lab/eventually.ts";
import type { Place } from "../../../lab/place.ts";
import { openReader } from "../../../workers/_shared/reader.ts";
import { READER } from "../../../workers/monitor/config.ts";
import { Feeds } from "../../../workers/monitor/live/feeds.ts";
import { createSources } from "../../../workers/monitor/live/sources.ts";
import { createQueries } from "../../../workers/monitor/queries/queries.ts";
import { measure } from "../../../workers/monitor/telemetry/measure.ts";
import { monitorTelemetry } from "../../../workers/monitor/telemetry/telemetry.ts";
import { Listener } from "../../support/live_events.ts";
import { makeRoles, urlOf } from "../../support/roles.ts";
import { onPlace } from "../../support/services.ts";
import { logStatements } from "../../support/statements.ts";

function openLive(place: Place, url = urlOf(place, "heartbeat_reader")) {
  const metrics = new Registry();
  const events: string[] = [];
  const note = (event: string) => void events.push(event);
  const telemetry = monitorTelemetry({
    log: { debug: note, info: note, warning: note, error: note },
    metrics,
  });
  const database = openReader(url, READER);
  const queries = createQueries(database, measure(database.target, telemetry));
  const feeds = new Feeds(telemetry);
  const sources = createSources(queries);
  return {
    sources,
    /** @throws TypeError if the limits refuse the listener */
    listen: (source: Parameters<Feeds["listen"]>[0]): ReadableStream<Uint8Array> => {
      const stream = feeds.listen(source);
      if (typeof stream === "string") throw new TypeError(stream);
      return stream;
    },
    feeds,
    events,
    metric: async (name: string, labels: Readonly<Record<string, string>>) => {
      const { values } = await metrics.getSingleMetric(name)?.get() ?? { values: [] };
      return values.filter((value) =>
        Object.entries(labels).every(([label, text]) => value.labels[label] === text)
      )
        .reduce((sum, { value }) => sum + value, 0);
    },
    [Symbol.asyncDispose]: async () => {
      await feeds[Symbol.asyncDispose]();
      await database[Symbol.asyncDispose]();
    },
  };
}

/** Listens until each has got three snapshots, and returns the statements that PostgreSQL got meanwhile. */
async function statementsOf(place: Place, count: number): Promise<{ statements: string[]; texts: string[] }> {
  const log = await logStatements(place, urlOf(place, "heartbeat_reader"));
  await using live = openLive(place, log.env.DATABASE_URL);
  const listeners = Array.from({ length: count }, () => new Listener(live.listen(live.sources.now)));
  // During a long pause, the feed repeats the tick of its last snapshot.
  const snapshots = (listener: Listener) => new Set(listener.named("tick").map(({ data }) => data.at)).size;
  await eventually("three snapshots", () => listeners.every((listener) => snapshots(listener) >= 3));
  await Promise.all(listeners.map((listener) => listener[Symbol.asyncDispose]()));
  strictEqual(await live.metric("heartbeat_monitor_viewers", {}), 0);
  // createQueries() shares equal questions, too. The feed must not need that.
  const asked = await live.metric("heartbeat_monitor_queries_total", { query: "now" });
  ok(asked <= 4, `${asked} queries for three snapshots`);
  return { statements: await log.take(), texts: listeners.map(({ text }) => text) };
}

Deno.test(
  "200 listeners cost the database the same statements as one, and get the same bytes",
  onPlace({}, async (place) => {
    await makeRoles(place);
    await place.publisher.send(beats({ customer: "c-1", from: 60, bpm: 200 }));
    await place.consumeAll();
    const one = await statementsOf(place, 1);
    const all = await statementsOf(place, 200);
    ok(one.statements.length >= 3, `only ${one.statements.length} statements were seen`);
    // A few more or fewer are the set-up of a connection. The cost of each listener would be hundreds.
    const [few, many] = [one.statements.length, all.statements.length];
    ok(many <= few + 10, `${few} statements for one listener, ${many} for 200`);
    deepStrictEqual(new Set(all.texts).size, 1);
    match(all.texts[0] ?? "", /event: fragment\ndata: \{"id":"attention","html":"[^\n]*c-1/);
  }),
);

Deno.test(
  "a feed without listeners asks nothing, while another one goes on",
  onPlace({ partitions: 0 }, async (place) => {
    await makeRoles(place);
    await using live = openLive(place);
    const asked = () => live.metric("heartbeat_monitor_queries_total", { query: "now" });
    {
      await using listener = new Listener(live.listen(live.sources.now));
      await listener.until("tick");
    }
    const before = await asked();
    await using other = new Listener(live.listen(live.sources.ledger));
    await other.until("tick", 4);
    strictEqual(await asked(), before);
  }),
);

Deno.test(
  "a listener that takes nothing for 5 s is disconnected, and the others go on",
  onPlace({ partitions: 0 }, async (place) => {
    await makeRoles(place);
    await using live = openLive(place);
    const stalled = live.listen(live.sources.now);
    await using other = new Listener(live.listen(live.sources.now));
    await eventually(
      "the stalled listener to be disconnected",
      () => live.events.includes("monitor.viewer_dropped"),
    );
    strictEqual(await live.metric("heartbeat_monitor_dropped_total", { feed: "now" }), 1);
    strictEqual(await live.metric("heartbeat_monitor_viewers", { feed: "now" }), 1);
    await rejects(stalled.getReader().read(), /takes no data/);
    const ticks = other.named("tick").length;
    await other.until("tick", ticks + 2);
    strictEqual(other.ended, false);
  }),
);

Deno.test(
  "while the database is down, listeners get trouble and no tick; afterwards ticks again",
  onPlace({ partitions: 0 }, async (place) => {
    await makeRoles(place);
    await using live = openLive(place);
    await using listener = new Listener(live.listen(live.sources.now));
    await listener.until("tick");
    await place.stack.postgres.stop();
    const [trouble] = await listener.until("trouble");
    match(trouble?.data.text, /^PostgreSQL at .* does not answer$/);
    const ticks = listener.named("tick").length;
    // A new listener is told at once.
    await using late = new Listener(live.listen(live.sources.now));
    await late.until("trouble");
    await listener.until("trouble", 3);
    strictEqual(listener.named("tick").length, ticks);
    await place.stack.postgres.start();
    await listener.until("tick", ticks + 1);
    await late.until("tick");
    deepStrictEqual(live.events.filter((event) => event.startsWith("monitor.")), [
      "monitor.query_failed",
      "monitor.query_recovered",
    ]);
  }),
);

Deno.test(
  "a listener of a customer gets the readings that were committed since its page was loaded, each once",
  onPlace({}, async (place) => {
    await makeRoles(place);
    const early = beats({ customer: "c-1", from: 50, to: 30, bpm: 70 });
    await place.publisher.send(early);
    const consumer = place.consumer();
    await place.untilStored();
    await using live = openLive(place);
    const open = () => live.sources.customer("c-1", "1h");
    await using first = new Listener(live.listen(open()));
    await first.until("readings");
    // The second reading is older than the first one, and committed after it.
    const later = [
      ...beats({ customer: "c-1", from: 5, bpm: 190 }),
      ...beats({ customer: "c-1", from: 20, to: 15, bpm: 75 }),
    ];
    for (const reading of later) {
      await place.publisher.send([reading]);
      await place.untilStored();
    }
    const instants = [...early, ...later].map(({ value }) =>
      Date.parse((value as { timestamp: string }).timestamp)
    ).sort();
    const got = (listener: Listener) => listener.named("readings").flatMap(({ data }) => data.ts).sort();
    await eventually("all readings", () => got(first).length >= instants.length, { seen: () => got(first) });
    deepStrictEqual(got(first), instants);
    // A page that was loaded before them gets them, too.
    await using second = new Listener(live.listen(open()));
    await second.until("readings");
    deepStrictEqual(got(second), instants);
    strictEqual(await consumer.stop(), 0);
  }),
);

Deno.test(
  "the listeners of all customers share one query for new readings, and the number of customers is limited",
  onPlace({ partitions: 0 }, async (place) => {
    await makeRoles(place);
    await using live = openLive(place);
    const source = (id: number) => live.sources.customer(`c-${id}`, "1h");
    const listeners = Array.from({ length: 64 }, (_, id) => new Listener(live.listen(source(id))));
    await Promise.all(listeners.map((listener) => listener.until("tick", 4)));
    throws(() => live.listen(source(64)), /64 different customers/);
    // A second viewer of the same customer is no new feed, whatever its range.
    await using another = new Listener(live.listen(live.sources.customer("c-0", "24h")));
    await another.until("tick");
    await eventually("its episodes", () => another.text.includes('"id":"episodes@24h"'));
    const asked = await live.metric("heartbeat_monitor_queries_total", { query: "tail" });
    ok(asked < 64, `${asked} queries for 4 polls of 64 customers`);
    await Promise.all(listeners.map((listener) => listener[Symbol.asyncDispose]()));
  }),
);
