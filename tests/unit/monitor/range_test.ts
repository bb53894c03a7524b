import { deepStrictEqual, strictEqual } from "node:assert";
import fc from "fast-check";
import {
  axisLabels,
  formatDate,
  formatDays,
  formatZone,
} from "../../../workers/monitor/client/local_time.ts";
import { clampRange, dragRange, nightsOf, zoomRange } from "../../../workers/monitor/client/range.ts";

const HOUR_MS = 3_600_000;

/** Runs in another time zone. */
async function inZone(zone: string, run: () => void): Promise<void> {
  const before = Deno.env.get("TZ");
  Deno.env.set("TZ", zone);
  try {
    await run();
  } finally {
    if (before === undefined) Deno.env.delete("TZ");
    else Deno.env.set("TZ", before);
  }
}

const hours = (range: { from: number; to: number }) =>
  [range.from, range.to].map((ms) => new Date(ms).toISOString().slice(0, 16));

Deno.test("a night is from 22:00 to 08:00 in the viewer's zone, and the last night is always over", async () => {
  const nights = (now: number) => {
    const { last, tonight } = nightsOf(now);
    return [hours(last), tonight && hours(tonight)];
  };
  const before = ["2026-01-13T21:00", "2026-01-14T07:00"];
  const night = ["2026-01-14T21:00", "2026-01-15T07:00"];
  await inZone("Europe/Berlin", () => {
    deepStrictEqual(nights(Date.UTC(2026, 0, 15, 12)), [night, undefined]);
    deepStrictEqual(nights(Date.UTC(2026, 0, 15, 7)), [night, undefined]);
    deepStrictEqual(nights(Date.UTC(2026, 0, 15, 6, 59)), [before, ["2026-01-14T21:00", "2026-01-15T06:59"]]);
    deepStrictEqual(nights(Date.UTC(2026, 0, 15, 2, 30)), [before, ["2026-01-14T21:00", "2026-01-15T02:30"]]);
    deepStrictEqual(nights(Date.UTC(2026, 0, 15, 22, 30)), [night, ["2026-01-15T21:00", "2026-01-15T22:30"]]);
  });
});

Deno.test("a night is an hour shorter or longer when the clocks change", async () => {
  await inZone("Europe/Berlin", () => {
    const last = (now: number) => hours(nightsOf(now).last);
    deepStrictEqual(last(Date.UTC(2026, 2, 29, 12)), ["2026-03-28T21:00", "2026-03-29T06:00"]);
    deepStrictEqual(last(Date.UTC(2026, 9, 25, 12)), ["2026-10-24T20:00", "2026-10-25T07:00"]);
  });
});

Deno.test("instants are written in the viewer's zone, and the zone is named", async () => {
  const at = Date.UTC(2026, 6, 1, 22, 3, 4);
  await inZone("Europe/Berlin", () => {
    deepStrictEqual([formatDate(at), formatZone(at)], ["2026-07-02 00:03:04", "Europe/Berlin (GMT+2)"]);
    strictEqual(formatDays({ from: at, to: at + 24 * HOUR_MS }), "2–3 Jul");
  });
  await inZone(
    "UTC",
    () => deepStrictEqual([formatDate(at), formatZone(at)], ["2026-07-01 22:03:04", "UTC"]),
  );
});

Deno.test("the labels of the time axis name the day where it begins, and seconds only if they differ", async () => {
  const from = Date.UTC(2026, 10, 29, 22);
  const labels = (stepMs: number) => axisLabels([0, 1, 2].map((step) => from + step * stepMs), stepMs);
  await inZone("UTC", () => {
    deepStrictEqual(labels(HOUR_MS), ["22:00\n29 Nov", "23:00", "00:00\n30 Nov"]);
    deepStrictEqual(labels(15_000), ["22:00:00\n29 Nov", "22:00:15", "22:00:30"]);
    deepStrictEqual(labels(24 * HOUR_MS), ["29 Nov", "30 Nov", "1 Dec"]);
  });
});

Deno.test("a zoom keeps the instant under the pointer in its place, and a second one back returns to the range", () => {
  fc.assert(fc.property(
    fc.integer({ min: 0, max: 2e12 }),
    fc.integer({ min: 1e4, max: 1e9 }),
    fc.double({ min: 0, max: 1, noNaN: true }),
    (from, width, place) => {
      const range = { from, to: from + width };
      const anchor = from + place * width;
      const near = zoomRange(range, 0.5, place);
      const isNear = (a: number, b: number) => Math.abs(a - b) < 1;
      const back = zoomRange(near, 2, place);
      return isNear((anchor - near.from) / (near.to - near.from) * width, place * width) &&
        isNear(back.from, range.from) && isNear(back.to, range.to);
    },
  ));
});

Deno.test("two fingers keep their instants, also when they meet", () => {
  const range = { from: 0, to: 4_000 };
  deepStrictEqual(dragRange(range, [0.25, 0.5], [0.25, 0.75]), { from: 500, to: 2_500 });
  deepStrictEqual(dragRange(range, [0.5, 0.25], [0.75, 0.25]), { from: 500, to: 2_500 });
  strictEqual(Number.isFinite(dragRange(range, [0.25, 0.5], [0.5, 0.5]).from), true);
  strictEqual(Number.isFinite(dragRange(range, [0.5, 0.5], [0.25, 0.5]).from), true);
});

Deno.test("a range is at least ten seconds and at most 31 days long, and ends by its end", () => {
  const end = 40 * 24 * HOUR_MS;
  const width = (range: { from: number; to: number }) => range.to - range.from;
  strictEqual(width(clampRange({ from: 5, to: 6 }, end)), 10_000);
  strictEqual(width(clampRange({ from: -end, to: end }, end)), 31 * 24 * HOUR_MS);
  deepStrictEqual(clampRange(dragRange({ from: end - HOUR_MS, to: end }, [0.25], [0]), end), {
    from: end - HOUR_MS,
    to: end,
  });
});
