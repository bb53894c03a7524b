import { deepStrictEqual, strictEqual, throws } from "node:assert";
import { EventStream, quantile, snapshotDelays } from "../../../bench/monitor/event_stream.ts";
import { parseFlags } from "../../../bench/monitor/flags.ts";

Deno.test("EventStream finds ticks and readings in pieces of any size, and counts a repeated tick once", () => {
  const text = "retry: 1000\n\n" +
    'event: fragment\ndata: {"id":"state","html":"event: tick"}\n\n' +
    'event: tick\ndata: {"at":10}\n\nevent: tick\ndata: {"at":10}\n\n' +
    'event: readings\ndata: {"ts":[3,4],"bpm":[70,71],"anomaly":[null,null]}\n\n' +
    'event: trouble\ndata: {"text":"no"}\n\nevent: tick\ndata: {"at":20}\n\n';
  for (const size of [1, 7, text.length]) {
    const stream = new EventStream();
    for (let from = 0; from < text.length; from += size) stream.add(text.slice(from, from + size), 99);
    deepStrictEqual(stream.ticks, [[10, 99], [20, 99]]);
    deepStrictEqual(stream.readings, [[3, 99], [4, 99]]);
  }
});

Deno.test("snapshotDelays() waits for the first snapshot that is younger than the commit", () => {
  // Commits at 0, 10, 20, 30 and 40; snapshots at 15 and 35, seen 5 later.
  deepStrictEqual(snapshotDelays([[15, 20], [35, 40]], 0, 50), [20, 10, 20, 10, Infinity]);
});

Deno.test("quantile() returns the smallest value that the share of the values does not exceed", () => {
  const values = Array.from({ length: 100 }, (_, index) => 100 - index);
  deepStrictEqual([quantile(values, 0.5), quantile(values, 0.99), quantile([7], 0.99)], [51, 100, 7]);
  strictEqual(quantile([], 0.5), NaN);
});

Deno.test("bench:monitor has the load of its aim as default, and names every wrong flag", () => {
  deepStrictEqual(parseFlags([]), {
    customers: 100_000,
    rate: 20_000,
    viewers: 200,
    seconds: 30,
    records: 2_000_000,
    runs: 3,
  });
  throws(() => parseFlags(["--viewers", "513", "--runs", "0"]), /--viewers: is "513".*--runs: is "0"/s);
});
