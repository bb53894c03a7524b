import assert from "node:assert/strict";
import { Meter } from "../../../stack/up/meter.ts";
import { buckets, byLabel, parseMetrics, total } from "../../../stack/up/metrics_text.ts";

Deno.test("parseMetrics() reads labels, escapes, infinities and numbers with exponents", () => {
  const metrics = parseMetrics(
    [
      "# HELP a_total Records",
      "# TYPE a_total counter",
      'a_total{outcome="stored",partition="0"} 3',
      'a_total{outcome="stored",partition="1"} 4',
      'a_total{outcome="rejected",partition="1"} 1.5e3',
      'odd{text="a \\"b\\" {c}, d\\\\e\\nf"} 1',
      'h_bucket{le="+Inf"} 9',
      'h_bucket{le="0.5"} 7',
      "plain 12",
      "",
    ].join("\n"),
  );
  assert.equal(total(metrics, "a_total"), 1507);
  assert.equal(total(metrics, "a_total", { outcome: "stored" }), 7);
  assert.equal(total(metrics, "absent"), 0);
  assert.deepEqual([...byLabel(metrics, "a_total", "outcome")], [["stored", 7], ["rejected", 1500]]);
  assert.deepEqual(metrics.get("odd")?.[0]?.labels, { text: 'a "b" {c}, d\\e\nf' });
  assert.deepEqual(buckets(metrics, "h"), [[0.5, 7], [Infinity, 9]]);
  assert.equal(total(metrics, "plain"), 12);
});

Deno.test("Meter.rate() returns the increase per second over the last 5 s", () => {
  const meter = new Meter("n");
  assert.equal(meter.rate("n"), undefined);
  for (const [second, value] of [[0, 0], [5, 1000], [10, 1500]] as const) {
    meter.add(second * 1000, parseMetrics(`n ${value}`));
  }
  assert.equal(meter.rate("n"), 100);
});

Deno.test("Meter.sums() continues to count after a restart of the process", () => {
  const meter = new Meter("n", [["rejects", "reason"]]);
  meter.add(0, parseMetrics('n 10\nrejects{reason="empty"} 4\nrejects{reason="old"} 1'));
  meter.add(1000, parseMetrics('n 2\nrejects{reason="empty"} 1'));
  assert.deepEqual(Object.fromEntries(meter.sums("rejects", "reason")), { empty: 5, old: 1 });
  assert.equal(meter.rate("n"), undefined);
});

Deno.test("Meter.quantile() covers the last 30 s and interpolates linearly within a bucket", () => {
  const scrape = (small: number, large: number, beyond: number) =>
    parseMetrics(
      `n 1\nh_bucket{le="1"} ${small}\nh_bucket{le="2"} ${small + large}\nh_bucket{le="+Inf"} ${
        small + large + beyond
      }`,
    );
  const meter = new Meter("n");
  assert.equal(meter.quantile("h", 0.5), undefined);
  meter.add(0, scrape(1000, 0, 0));
  meter.add(31_000, scrape(1000, 0, 0));
  meter.add(32_000, scrape(1005, 4, 1));
  assert.equal(meter.quantile("h", 0.5), 1);
  assert.equal(meter.quantile("h", 0.7), 1.5);
  assert.equal(meter.quantile("h", 1), Infinity);
});
