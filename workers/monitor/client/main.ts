/** Starts what the page has: the live stream, the chart, the search field, the forms for a range. */
import { Chart, type Readings } from "./chart.ts";
import { Connection } from "./connection.ts";
import { loadPage, replaceFragment } from "./page.ts";
import { startRangeForms } from "./range_form.ts";
import { startSearch } from "./search.ts";
import { Stream } from "./stream.ts";
import { localize, refreshDurations, setClock } from "./times.ts";
import { countOf } from "../view/words.ts";

/** A timer that was this late: the computer slept. */
const SLEPT_MS = 10_000;

localize(document);
startRangeForms();
for (const field of document.querySelectorAll<HTMLInputElement>("input[data-customer-search]")) {
  startSearch(field);
}

const { dataset } = document.documentElement;
const connectionElement = document.getElementById("connection");
const connection = connectionElement === null ? undefined : new Connection(connectionElement);
const stream = new Stream(dataset.live ?? "", {
  onState: (state) => {
    if (connection !== undefined) connection.stream = state;
  },
  onEvent: (name, data) => RECEIVERS[name]?.(data as never),
});
const RECEIVERS: Readonly<Record<string, (data: never) => void>> = {
  fragment: ({ id, html }: { id: string; html: string }) => {
    const [element = "", view] = id.split("@");
    if (view === undefined || view === chart?.view) replaceFragment(element, html);
  },
  readings: (readings: Readings) => chart?.add(readings),
  tick: ({ at, rejected }: { at: number; rejected?: number }) => {
    if (rejected !== undefined) showNewRejects(rejected);
    setClock(at);
    connection?.tick();
    chart?.resume();
  },
  trouble: ({ text }: { text: string }) => connection?.trouble(text),
};

/** The list itself stays, so that it does not move while somebody reads it. */
function showNewRejects(total: number): void {
  const link = document.querySelector<HTMLAnchorElement>("a[data-rejected]");
  const count = total - Number(link?.dataset.rejected);
  if (link === null || !(count > 0)) return;
  link.textContent = `${countOf(count, "new reject")} – show`;
  link.hidden = false;
}

let pageRequest = new AbortController();
const chartElement = document.getElementById("chart");
const chart = chartElement === null ? undefined : new Chart(chartElement, async (search) => {
  pageRequest.abort();
  pageRequest = new AbortController();
  await loadPage(search, pageRequest).catch(() => {});
});

function openIfVisible(): void {
  if (dataset.live === undefined) return;
  // The server reads data only for pages that somebody sees.
  if (document.visibilityState === "visible") stream.open();
  else stream.close();
}

openIfVisible();
document.addEventListener("visibilitychange", openIfVisible);
addEventListener("online", openIfVisible);
// The button Back shows a page that the browser kept in memory, in spite of `no-store`. The session may have ended.
addEventListener("pageshow", ({ persisted }) => persisted && location.reload());

let beatAt = Date.now();
setInterval(() => {
  if (Date.now() - beatAt > SLEPT_MS) openIfVisible();
  beatAt = Date.now();
  connection?.refresh();
  refreshDurations(connection?.isCurrent ?? true);
  chart?.tick();
}, 1_000);
