import { match, ok, strictEqual } from "node:assert";
import { CustomerPage } from "../../../workers/monitor/pages/customer_page.tsx";
import type { Customer } from "../../../workers/monitor/view/view.ts";
import { HARMLESS, html, MINUTE, RANGE, views } from "../../support/monitor_views.ts";

Deno.test("the page of a customer sums up the episodes in a sentence", async () => {
  const { customer, pipeline } = views(HARMLESS);
  const [high, low] = customer.episodes;
  ok(high !== undefined && low !== undefined);
  const sentence = async (...episodes: Customer["episodes"]) => {
    const page = await html(CustomerPage({ pipeline, customer: { ...customer, episodes }, last: "8h" }));
    return /class="answer">([^<]*)</.exec(page)?.[1];
  };
  strictEqual(
    await sentence(high, low),
    "2 episodes in this range: longest 12 min 4 s, highest 196 bpm, lowest 43 bpm, one is ongoing.",
  );
  strictEqual(await sentence(low), "1 episode in this range: a single reading, lowest 43 bpm.");
});

Deno.test("the page of a customer gives an all-clear only if no part of the range is without readings", async () => {
  const { customer, pipeline } = views(HARMLESS);
  const { from, to } = RANGE;
  const answer = async (change: Partial<Customer["coverage"]>, latestAt = to) => {
    const coverage = { ...customer.coverage, ...change };
    const latest = { ts: latestAt, bpm: 70, anomaly: null };
    const page = await html(
      CustomerPage({ customer: { ...customer, latest, episodes: [], coverage }, pipeline, last: "1h" }),
    );
    return /class="answer">(.*?)<\/p>/s.exec(page)?.[1]?.replaceAll(/<[^>]*>/g, "") ?? "";
  };
  match(await answer({}), /✓ No anomaly in this range: no reading is below 45 or above 180 bpm/);
  match(await answer({ gapMs: 5 * MINUTE }), /✓/);
  const unknown = await answer({ readings: 0, first: null, last: null, gapMs: null });
  match(unknown, /^No reading in this range, so it is unknown/);
  strictEqual(
    await answer({ readings: 26, last: to - 6 * MINUTE }, to - 6 * MINUTE),
    "No anomaly in the 26 readings; no reading since 2026-01-31 07:54:00 UTC.",
  );
  const within = "No anomaly in the 26 readings; no reading for 34 min of this range.";
  strictEqual(await answer({ readings: 26, gapMs: 34 * MINUTE }), within);
  strictEqual(
    await answer({ readings: 26, last: to - 34 * MINUTE }),
    within,
    "later readings are after the range",
  );
  strictEqual(await answer({ readings: 26, first: from + 34 * MINUTE }), within);
  match(
    await answer({ readings: 1, first: to, gapMs: null }),
    /^No anomaly in the 1 reading; no reading for 1 h/,
  );
});

Deno.test("the page of a customer begins with the present state", async () => {
  const { customer, pipeline } = views(HARMLESS);
  const present = async (latestAt: number, unknownSince: number | null = null) => {
    const latest = { ts: latestAt, bpm: 72, anomaly: null };
    const page = await html(
      CustomerPage({
        customer: { ...customer, latest },
        pipeline: { ...pipeline, stands: true, unknownSince },
        last: "1h",
      }),
    );
    const line = /id="latest"[^>]*>(.*?)<span class="note">/s.exec(page)?.[1] ?? "";
    return line.replaceAll(/<[^>]*>/g, "").replaceAll(/\s+/g, " ").trim();
  };
  const { at } = customer;
  strictEqual(await present(at - 4 * MINUTE), "72 bpm");
  const silent = "2026-01-31 07:26:00 UTC";
  strictEqual(await present(at - 34 * MINUTE), `◌ silent for ${silent}, since ${silent} 72 bpm`);
  strictEqual(
    await present(at - 34 * MINUTE, at - 32 * MINUTE),
    "✕ Unknown since 2026-01-31 07:28:00 UTC: the pipeline stands, not the patient. Then: 72 bpm",
  );
  match(await present(at - 34 * MINUTE, at - MINUTE), /Then: ◌ silent for 33 min, since/);
});
