/** Writes instants in the viewer's zone and keeps durations current. */
import type { Range } from "../view/view.ts";
import { formatDuration } from "../view/words.ts";
import { formatClock, formatDate, formatDays, formatZone } from "./local_time.ts";
import { nightsOf } from "./range.ts";

let offsetMs = 0;
let clockAt = 0;

/** The present by the server's clock, because the viewer's clock can be wrong. */
export function now(): number {
  return Date.now() + offsetMs;
}

/** @param at when the server read its latest data. It sends the same instant again until it has newer data. */
export function setClock(at: number): void {
  if (at !== clockAt) offsetMs = at - Date.now();
  clockAt = at;
}

/** An instant that is later than this in the future is from a clock that is ahead. */
const CLOCKS_DIFFER_MS = 5_000;

const WRITERS: Readonly<Record<string, (ms: number) => string>> = {
  clock: formatClock,
  date: formatDate,
  ago: (ms) =>
    ms - now() > CLOCKS_DIFFER_MS
      ? `${formatDuration(ms - now())} ahead`
      : `${formatDuration(now() - ms)} ago`,
  since: (ms) => formatDuration(now() - ms),
};

function writeTimes(times: Iterable<HTMLTimeElement>): void {
  for (const time of times) {
    const ms = Date.parse(time.dateTime);
    const text = WRITERS[time.dataset.as ?? ""]?.(ms);
    // Only a change, so that a selection in the text survives.
    if (text !== undefined && text !== time.textContent) time.textContent = text;
    // Once for each element, because new HTML brings new elements or titles.
    time.title ||= `${formatDate(ms)} ${formatZone(ms)}`;
  }
}

/** Once a second. While the page has only old data, durations do not grow: what lasted then may have ended. */
export function refreshTimes(isCurrent: boolean): void {
  const growing = isCurrent ? "time:is([data-as=ago], [data-as=since])" : "time[data-as=ago]";
  writeTimes(document.querySelectorAll<HTMLTimeElement>(growing));
  linkNights(document);
}

/** Turns what the server wrote in UTC into the viewer's zone. New HTML passes here before it gets into the page. */
export function localize(root: ParentNode): void {
  writeTimes(root.querySelectorAll<HTMLTimeElement>("time[data-as]"));
  for (const zone of root.querySelectorAll("[data-zone]")) zone.textContent = formatZone(now());
  root.querySelectorAll<HTMLInputElement>("input[data-instant]").forEach(localizeField);
  linkNights(root);
}

/** Writes the instant of a field in the viewer's zone. */
export function localizeField(field: HTMLInputElement): void {
  field.value = formatDate(Date.parse(field.dataset.instant ?? "")).replace(" ", "T");
  field.defaultValue = field.value;
}

/** Only the browser knows when the viewer's nights are. During a night, "last night" alone could mean either of two. */
function linkNights(root: ParentNode): void {
  const { last, tonight } = nightsOf(now());
  const nights: Readonly<Record<string, readonly [range: Range | undefined, title: string]>> = {
    last: [last, `last night, ${formatDays(last)}`],
    tonight: [tonight, "tonight, since 22:00"],
  };
  for (const link of root.querySelectorAll<HTMLAnchorElement>("a[data-night]")) {
    const [range, title] = nights[link.dataset.night ?? ""] ?? [];
    link.hidden = range === undefined;
    if (range === undefined || title === undefined) continue;
    // Only a change, so that a selection in the text survives.
    if (link.textContent !== title) link.textContent = title;
    link.search = rangeSearch(link.search, range);
    // Only from: the end of tonight's range moves on.
    const [from, shownFrom] = [link, location].map(({ search }) => new URLSearchParams(search).get("from"));
    link.ariaCurrent = from === shownFrom ? "true" : null;
  }
}

/** @returns the query with another range */
export function rangeSearch(search: string, range: Range): string {
  const query = new URLSearchParams(search);
  query.delete("last");
  for (const name of ["from", "to"] as const) query.set(name, new Date(range[name]).toISOString());
  return `?${query}`;
}
