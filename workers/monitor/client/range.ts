/** Arithmetic of ranges. It uses no part of the browser, so that unit tests can import it. */
import { MAX_RANGE_DAYS, type Range } from "../view/view.ts";

const MIN_WIDTH_MS = 10_000;
/** The monitor refuses longer ranges. */
const MAX_WIDTH_MS = MAX_RANGE_DAYS * 86_400_000;

/** @param end the range is moved so that it does not end later */
export function clampRange({ from, to }: Range, end: number): Range {
  const width = Math.round(Math.min(Math.max(to - from, MIN_WIDTH_MS), MAX_WIDTH_MS));
  const middle = (from + to) / 2;
  const last = Math.round(Math.min(middle + width / 2, end));
  return { from: last - width, to: last };
}

/** @param factor below 1 to see less and finer, above 1 to see more @param anchor the instant that keeps its place */
export function zoomRange({ from, to }: Range, factor: number, anchor = (from + to) / 2): Range {
  return { from: anchor - (anchor - from) * factor, to: anchor + (to - anchor) * factor };
}

/** @param share of the width; negative: to the past */
export function panRange({ from, to }: Range, share: number): Range {
  const shift = (to - from) * share;
  return { from: from + shift, to: to + shift };
}

/** @returns the range that puts two instants at two places, from 0 at the left end to 1 at the right end */
export function pinchRange(instants: readonly [number, number], places: readonly [number, number]): Range {
  const width = (instants[1] - instants[0]) / Math.max(places[1] - places[0], 0.01);
  const from = instants[0] - places[0] * width;
  return { from, to: from + width };
}

/** The latest night that has begun and, unless it is still night, ended: from 22:00 to 08:00 in the viewer's zone. */
export function lastNight(now: number): Range {
  const today = new Date(now);
  const at = (days: number, hour: number) =>
    new Date(today.getFullYear(), today.getMonth(), today.getDate() + days, hour).getTime();
  return { from: at(-1, 22), to: Math.min(at(0, 8), now) };
}

/** @returns whether an address has this range. During the night, its end moves on. */
export function isRange(search: string, { from, to }: Range): boolean {
  const [askedFrom, askedTo] = ["from", "to"].map((name) =>
    Date.parse(new URLSearchParams(search).get(name) ?? "")
  );
  return askedFrom === from && Math.abs(Number(askedTo) - to) < 60_000;
}
