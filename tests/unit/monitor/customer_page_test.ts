import { deepStrictEqual, match, ok, strictEqual } from "node:assert";
import { CustomerPage } from "../../../workers/monitor/pages/customer_page.tsx";
import type { Customer, Episode, Preset, Range } from "../../../workers/monitor/view/view.ts";
import { HARMLESS, html, MINUTE, RANGE, views } from "../../support/monitor_views.ts";

/** The sentence that says whether there was an anomaly. */
async function answerOf(
  change: Partial<Customer>,
  last: Preset | undefined,
  unknownSince: number | null = null,
): Promise<string> {
  const { customer, pipeline: well } = views(HARMLESS);
  const pipeline = { ...well, unknownSince };
  const quiet = { silences: [], episodes: [], hasMoreEpisodes: false };
  const page = await html(CustomerPage({ customer: { ...customer, ...quiet, ...change }, pipeline, last }));
  return /class="answer">(.*?)<\/p>/s.exec(page)?.[1]?.replaceAll(/<[^>]*>/g, "").replaceAll(/\s+/g, " ")
    .trim() ?? "";
}

Deno.test("the page of a customer sums up the episodes in a sentence", async () => {
  const [high, low] = views(HARMLESS).customer.episodes;
  ok(high !== undefined && low !== undefined);
  const sentence = (episodes: readonly Episode[], hasMoreEpisodes = false) =>
    answerOf({ episodes, hasMoreEpisodes }, "8h");
  strictEqual(
    await sentence([high, low]),
    "2 episodes in the last 8 hours: longest 12 min 4 s, highest 196 bpm, lowest 43 bpm, one is ongoing.",
  );
  strictEqual(await sentence([low]), "1 episode in the last 8 hours: a single reading, lowest 43 bpm.");
  strictEqual(
    await sentence([low], true),
    "More than 1 episode in the last 8 hours: of the newest ones, a single reading, lowest 43 bpm.",
  );
  strictEqual(
    await answerOf({ episodes: [low] }, undefined),
    "1 episode from 2026-01-31 07:00:00 UTC to 2026-01-31 08:00:00 UTC: a single reading, lowest 43 bpm.",
  );
});

Deno.test("an episode goes on only while its last reading is new and the pipeline works, and no stop of the pipeline ends it", async () => {
  const { customer, pipeline } = views(HARMLESS);
  const { at } = customer;
  const [high] = customer.episodes;
  ok(high !== undefined);
  const shown = async (ended: number, unknownSince: number | null = null, latestAt = ended) => {
    const episodes = [{ ...high, ended }];
    const latest = { ts: latestAt, bpm: 190, anomaly: "high" } as const;
    const page = await html(
      CustomerPage({
        customer: { ...customer, latest, episodes, silences: [], hasMoreEpisodes: false },
        pipeline: { ...pipeline, unknownSince },
        last: "1h",
      }),
    );
    const text = page.replaceAll(/<[^>]*>/g, " ").replaceAll(/\s+/g, " ");
    return [/Readings.*?UTC (.*?) \d+ min/.exec(text)?.[1], /bpm, (it [a-z ]+)\./.exec(text)?.[1]];
  };
  deepStrictEqual(await shown(at - MINUTE), ["ongoing", "it is ongoing"]);
  const unknown = (time: string) => [`unknown: no reading since 2026-01-31 ${time} UTC`, "it may go on"];
  deepStrictEqual(await shown(at - MINUTE - 1_000), unknown("07:58:59"));
  deepStrictEqual(await shown(at - 5 * MINUTE), unknown("07:55:00"));
  const ended = await shown(at - 6 * MINUTE);
  deepStrictEqual(ended, ["2026-01-31 07:54:00 UTC", undefined]);
  deepStrictEqual(await shown(at - 6 * MINUTE, at - 6 * MINUTE), unknown("07:54:00"));
  deepStrictEqual(await shown(at - 1_000, at - 1_000), unknown("07:59:59"));
  deepStrictEqual(
    await shown(at - 6 * MINUTE, at - 2 * MINUTE, at - 2 * MINUTE),
    ended,
    "a later reading ended it",
  );
});

Deno.test("the page of a customer says that an episode reaches beyond the range", async () => {
  const [, low] = views(HARMLESS).customer.episodes;
  ok(low !== undefined);
  const { from, to } = RANGE;
  match(
    await answerOf({ episodes: [{ ...low, began: from - MINUTE }] }, "1h"),
    /, it reaches beyond this range\.$/,
  );
  match(
    await answerOf({ episodes: [low, { ...low, ended: to + MINUTE }] }, "1h"),
    /, one reaches beyond this range\.$/,
  );
});

Deno.test("the page of a customer gives an all-clear only if no part of the range is without readings", async () => {
  const { from, to } = RANGE;
  strictEqual(
    await answerOf({}, "1h"),
    "✓ No anomaly in the last hour (720 readings).",
  );
  strictEqual(
    await answerOf({ readings: 0, silences: [RANGE] }, "1h"),
    "No reading in the last hour, so it is unknown whether there was an anomaly.",
  );
  const soFar = "No anomaly in the last hour so far (720 readings).";
  strictEqual(await answerOf({}, "1h", to - MINUTE), soFar, "the last minute may wait in Kafka");
  match(
    await answerOf({ range: { from, to: to + MINUTE } }, undefined),
    /^No anomaly .* so far/,
    "the future",
  );
  const answer = async (...silences: Range[]) => {
    const text = await answerOf({ readings: 26, silences }, "1h");
    return text.replace("No anomaly in the last hour (26 readings). But ", "");
  };
  const [one, two] = [{ from, to: from + 25 * MINUTE }, { from: to - 16 * MINUTE, to: to - 7 * MINUTE }];
  strictEqual(await answer(one), "no reading for 25 min.");
  strictEqual(await answer(two, one), "no reading for 34 min, in 2 silences.");
  const goesOn = { from: to - 6 * MINUTE, to };
  strictEqual(await answer(goesOn), "no reading since 2026-01-31 07:54:00 UTC.");
  strictEqual(
    await answer(goesOn, two, one),
    "no reading since 2026-01-31 07:54:00 UTC, and none for 34 min before, in 2 silences.",
  );
});

Deno.test("the page of a customer lists the silences of the range, at most 100 of them", async () => {
  const { customer, pipeline } = views(HARMLESS);
  const { at } = customer;
  const page = async (silences: Customer["silences"], unknownSince: number | null = null) =>
    await html(
      CustomerPage({
        customer: { ...customer, silences },
        pipeline: { ...pipeline, unknownSince },
        last: "1h",
      }),
    );
  const [goesOn, past] = [{ from: at - 6 * MINUTE, to: at }, {
    from: at - 50 * MINUTE,
    to: at - 16 * MINUTE,
  }];
  const text = (await page([goesOn, past])).replaceAll(/<[^>]*>/g, " ").replaceAll(/\s+/g, " ");
  match(
    text,
    /2 silences, the newest first .* 07:54:00 UTC goes on 6 min .* 07:10:00 UTC .* 07:44:00 UTC 34 min/,
  );
  match(await page([goesOn, past], at - 6 * MINUTE), />1 silence</, "the pipeline stopped, not the customer");
  const many = await page(Array.from({ length: 217 }, () => past));
  match(many, /The newest 100 of 217 silences</);
  strictEqual(many.match(/34 min</g)?.length, 100);
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
    "✕ Unknown since 2026-01-31 07:28:00 UTC: the pipeline has stopped. The present state of the customer is unknown. " +
      "Last known state: 72 bpm",
  );
  match(await present(at - 34 * MINUTE, at - MINUTE), /Last known state: ◌ silent for 33 min, since/);
});
