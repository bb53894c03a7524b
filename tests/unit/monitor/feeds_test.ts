import { strictEqual } from "node:assert";
import { Registry } from "prom-client";
import type { Source } from "../../../workers/monitor/live/feed.ts";
import { Feeds } from "../../../workers/monitor/live/feeds.ts";
import { monitorTelemetry } from "../../../workers/monitor/telemetry/telemetry.ts";

const silent = () => {};
const log = { debug: silent, info: silent, warning: silent, error: silent };

Deno.test("a refused viewer is told why, and to close other pages only if that helps", async () => {
  const feeds = new Feeds(monitorTelemetry({ log, metrics: new Registry() }));
  const source: Source = { name: "now", poll: () => Promise.resolve({ at: 0, fragments: {} }) };
  for (let viewer = 0; viewer < 512; viewer++) feeds.listen(source);
  strictEqual(feeds.listen(source), "512 pages are open already. Close other pages of the monitor.");
  await feeds[Symbol.asyncDispose]();
  strictEqual(feeds.listen(source), "The monitor is stopping.");
});
