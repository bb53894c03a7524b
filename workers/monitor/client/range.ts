/** Arithmetic of ranges. It uses no part of the browser, so that unit tests can import it. */
import { MAX_RANGE_DAYS, type Range } from "../view/view.ts";

const MIN_WIDTH_MS = 10_000;
/** The monitor refuses longer ranges. */
const MAX_WIDTH_MS = MAX_RANGE_DAYS * 86_400_000;
/** Two fingers that meet must not stretch the range without end. */
const MIN_SPREAD = 0.01;

/** @param end the range is moved so that it does not end later */
export function clampRange({ from, to }: Range, end: number): Range {
  const width = Math.round(Math.min(Math.max(to - from, MIN_WIDTH_MS), MAX_WIDTH_MS));
  const middle = (from + to) / 2;
  const last = Math.round(Math.min(middle + width / 2, end));
  return { from: last - width, to: last };
}

/**
 * @param factor below 1 to see less and finer, above 1 to see more
 * @param place keeps its instant, from 0 at the left end to 1 at the right end
 */
export function zoomRange({ from, to }: Range, factor: number, place = 0.5): Range {
  const width = (to - from) * factor;
  const begin = from + place * (to - from - width);
  return { from: begin, to: begin + width };
}

/**
 * Moves what lies at one or two places to other places.
 *
 * @param before places of the fingers, as in `zoomRange`
 * @param after their new places
 */
export function dragRange(range: Range, before: readonly number[], after: readonly number[]): Range {
  const spread = ([one = 0, two = one + 1]: readonly number[]) => Math.max(Math.abs(two - one), MIN_SPREAD);
  const [old = 0, place = 0] = [before[0], after[0]];
  const { from, to } = zoomRange(range, spread(before) / spread(after), old);
  const shift = (old - place) * (to - from);
  return { from: from + shift, to: to + shift };
}

/**
 * The viewer's nights, from 22:00 to 08:00 in the viewer's zone.
 *
 * @returns the last one that is over and, during a night, the present one until now
 */
export function nightsOf(now: number): { readonly last: Range; readonly tonight: Range | undefined } {
  const today = new Date(now);
  const hour = today.getHours();
  const at = (days: number, hour: number) =>
    new Date(today.getFullYear(), today.getMonth(), today.getDate() + days, hour).getTime();
  const night = (days: number) => ({ from: at(days - 1, 22), to: at(days, 8) });
  const tonight = hour < 8 ? night(0) : hour >= 22 ? night(1) : undefined;
  return { last: night(hour < 8 ? -1 : 0), tonight: tonight && { ...tonight, to: now } };
}
