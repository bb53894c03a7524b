import assert from "node:assert/strict";
import { stripVTControlCharacters } from "node:util";
import { type Notice, renderLine, renderScreen, type ScreenOptions } from "../../../stack/up/screen.ts";
import type { Status } from "../../../stack/up/status.ts";

const STATUS: Status = {
  problems: [],
  publishedPerSecond: 100.04,
  storedPerSecond: 99,
  totals: { stored: 1_234_567, duplicates: 12, rejected: 345 },
  storedRun: 5,
  rejectsRun: new Map([["tombstone", 2], ["invalid_json", 40], ["empty", 0]]),
  anomaliesRun: { low: 3, high: 4 },
  lagRecords: 7,
  lagSeconds: 0.25,
  latency: { p50: 0.0042, p99: 1.5 },
  latest: [
    { customerId: "customer-1", ts: new Date("2026-01-31T08:00:00.123Z"), heartRate: 72, anomaly: null },
    {
      customerId: "\u001b[2Jevil\n\u202Eid",
      ts: new Date("2026-01-31T08:00:01Z"),
      heartRate: 190,
      anomaly: "high",
    },
  ],
};

const UNKNOWN: Status = {
  problems: ["consumer is starting"],
  publishedPerSecond: undefined,
  storedPerSecond: undefined,
  totals: undefined,
  storedRun: 0,
  rejectsRun: new Map(),
  anomaliesRun: { low: 0, high: 0 },
  lagRecords: undefined,
  lagSeconds: undefined,
  latency: { p50: undefined, p99: undefined },
  latest: [],
};

const notice = (text: string): Notice => ({ at: new Date(), level: "warning", from: "consumer", text });

const OPTIONS: ScreenOptions = {
  width: 100,
  height: 40,
  colour: false,
  runningSeconds: 3_723,
  notices: [notice("Rejected: value: is empty")],
  footer: ["Kafka 127.0.0.1:9092"],
};

Deno.test("renderScreen() shows rates, totals, rejects by reason, lag, latency, readings and events", () => {
  const text = renderScreen(STATUS, OPTIONS).join("\n");
  for (
    const fact of [
      /running 01:02:03/,
      /published +100\/s/,
      /stored +99\/s +1,234,567 in all/,
      /lag +7 records, 0\.3 s/,
      /4ms p50, 1\.5s p99/,
      /3 low, 4 high/,
      /rejected +345 in all; this run: invalid_json 40, tombstone 2\n/,
      /duplicates +12 in all/,
      /2026-01-31 08:00:00 +customer-1 +72 bpm\n/,
      /190 bpm +high/,
      /consumer: Rejected: value: is empty/,
      /Kafka 127\.0\.0\.1:9092/,
    ]
  ) assert.match(text, fact);
});

Deno.test("renderScreen() escapes control characters in customers and notices", () => {
  const options = { ...OPTIONS, notices: [notice("\u001b[31mred\r\nforged")] };
  const lines = renderScreen(STATUS, options);
  // deno-lint-ignore no-control-regex
  for (const line of lines) assert.doesNotMatch(line, /[\u0000-\u001f\u202e]/);
});

Deno.test("renderScreen() fits into a terminal of any size, with and without colours", () => {
  const many = Array.from({ length: 20 }, (_, index) => notice(`warning ${index} ${"long ".repeat(40)}`));
  for (
    const [width, height] of [[200, 60], [100, 40], [80, 24], [60, 18], [40, 20], [40, 10], [20, 2]] as const
  ) {
    for (const colour of [true, false]) {
      const lines = renderScreen(STATUS, { ...OPTIONS, width, height, colour, notices: many });
      assert.ok(lines.length < height, `${lines.length} lines in ${height} rows`);
      for (const line of lines) {
        const columns = [...stripVTControlCharacters(line)].length;
        assert.ok(columns < width, `${columns} columns in ${width}: ${line}`);
      }
    }
  }
});

Deno.test("renderScreen() shows problems in the first lines at any size, and the lag as unknown during them", () => {
  const problems = ["Kafka is not running", "consumer: group: is no member"];
  for (const [width, height] of [[200, 60], [80, 24], [40, 10]] as const) {
    const lines = renderScreen({ ...STATUS, problems }, { ...OPTIONS, width, height });
    const at = lines.findIndex((line) => /^state +Kafka is not running/.test(line));
    assert.ok(at > 0 && at <= 2, lines.join("\n"));
    assert.match(lines.join("\n"), /lag +unknown, was 7/);
  }
  assert.match(renderScreen(STATUS, OPTIONS).join("\n"), /state +all is well/);
});

Deno.test("renderScreen() wraps the lines of the footer and cuts off nothing", () => {
  const path = `/${"folder/".repeat(12)}addresses.env`;
  const lines = renderScreen(STATUS, {
    ...OPTIONS,
    width: 40,
    height: 40,
    footer: [`passwords are in ${path}`],
  });
  assert.ok(lines.join("").includes(path));
});

Deno.test("renderScreen() keeps the first line of the footer on a small terminal, where the page's address stands", () => {
  const footer = ["Open http://127.0.0.1:8787/?token=abc", "Kafka", "Data", "Passwords", "Stop"];
  for (const [height, shown] of [[24, 5], [15, 1], [11, 0]] as const) {
    const lines = renderScreen(STATUS, { ...OPTIONS, footer, height });
    assert.deepEqual(lines.filter((line) => footer.includes(line)), footer.slice(0, shown));
  }
});

Deno.test("renderScreen() uses colours only if they are allowed", () => {
  const render = (colour: boolean) => renderScreen(STATUS, { ...OPTIONS, colour }).join("\n");
  assert.notEqual(render(true), render(false));
  assert.equal(stripVTControlCharacters(render(true)), render(false));
});

Deno.test("renderLine() shows the same facts in one line, even if nothing is known yet", () => {
  assert.equal(
    renderLine(STATUS),
    "state=ok published=100/s stored=1234567 (99/s) duplicates=12 rejected=345 anomalies_low=3 anomalies_high=4 lag=7 " +
      "end_to_end_p50=4ms end_to_end_p99=1.5s",
  );
  assert.match(
    renderLine(UNKNOWN),
    /state="consumer is starting" .*stored=0 \(-\/s\) .*rejected=0 .*lag=unknown/,
  );
});
