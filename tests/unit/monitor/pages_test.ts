import { deepStrictEqual, doesNotMatch, match, ok, strictEqual } from "node:assert";
import { REJECT_REASONS } from "../../../workers/_shared/record/heartbeat.ts";
import { customerFragments, CustomerPage } from "../../../workers/monitor/pages/customer_page.tsx";
import type { Fragments } from "../../../workers/monitor/pages/layout.tsx";
import { ledgerFragments, LedgerPage } from "../../../workers/monitor/pages/ledger_page.tsx";
import { nowFragments, NowPage } from "../../../workers/monitor/pages/now_page.tsx";
import { ProblemPage } from "../../../workers/monitor/pages/problem_page.tsx";
import { rejectsFragments, RejectsPage } from "../../../workers/monitor/pages/rejects_page.tsx";
import { formatCount, formatDuration } from "../../../workers/monitor/view/words.ts";
import type { Customer, Reject } from "../../../workers/monitor/view/view.ts";
import { emptyViews, HARMLESS, MINUTE, RANGE, views } from "../../support/monitor_views.ts";

const HOSTILE = [
  "<script>alert(1)</script>",
  `"><img src=x onerror=alert(1)>`,
  `' onfocus=alert(1) autofocus '`,
  "</pre></td></table><h1>x</h1>",
  "</title><script>alert(1)</script>",
  "&lt;b&gt;<!--",
  "javascript:alert(1)",
];

async function html(element: unknown): Promise<string> {
  return String(await element);
}

/** Each page of the views, with its fragments. */
async function pages({ now, customer, rejects, ledger }: ReturnType<typeof views>) {
  const { customerId } = customer;
  const all: Record<string, [page: unknown, fragments: Fragments]> = {
    now: [NowPage({ now }), nowFragments(now)],
    customer: [CustomerPage({ customer, last: "8h", similar: [customerId] }), customerFragments(customer)],
    rejects: [RejectsPage({ rejects, live: true }), rejectsFragments(rejects)],
    ledger: [LedgerPage({ ledger }), ledgerFragments(ledger)],
    problem: [ProblemPage({ status: 404, text: customerId }), {}],
  };
  return await Promise.all(
    Object.entries(all).map(async ([name, [page, fragments]]) => ({
      name,
      page: await html(page),
      fragments,
    })),
  );
}

/** Tags with the names of their attributes, but without values and text. */
function skeleton(page: string): string[] {
  return [...page.matchAll(/<[^>]*>/g)].map(([tag]) => tag.replaceAll(/"[^"]*"/g, ""));
}

Deno.test("text from the data never becomes HTML, wherever it stands", async () => {
  const harmless = await pages(views(HARMLESS));
  for (const text of HOSTILE) {
    for (const [index, { name, page }] of (await pages(views(text))).entries()) {
      deepStrictEqual(skeleton(page), skeleton(harmless[index]?.page ?? ""), `${name}: ${text}`);
    }
  }
});

Deno.test("a page shows control characters and changes of direction in the data as escapes", async () => {
  for (const { name, page } of await pages(views("a\u0007b\u202ec"))) {
    const text = page.replaceAll(/<[^>]*>/g, "");
    doesNotMatch(text, /\p{Cf}|(?!\n)\p{Cc}/u, name);
    match(text, /a\\u0007b\\u202ec/, name);
  }
});

Deno.test("each page contains its fragments as the stream sends them, each with its id", async () => {
  for (const { name, page, fragments } of [...await pages(views(HARMLESS)), ...await pages(emptyViews())]) {
    for (const [id, element] of Object.entries(fragments)) {
      const fragment = await html(element);
      match(fragment, new RegExp(`^<\\w+ id="${id}"`), name);
      ok(page.includes(fragment), `${name} does not contain ${id}`);
    }
  }
});

Deno.test("in each page ids are unique, references to ids exist, headings descend in order, and CSP forbids nothing", async () => {
  for (const { name, page } of [...await pages(views(HARMLESS)), ...await pages(emptyViews())]) {
    const ids = [...page.matchAll(/ id="([^"]*)"/g)].map(([, id]) => id);
    deepStrictEqual(ids, [...new Set(ids)], name);
    const references = [...page.matchAll(/ (?:for|list|aria-labelledby|href)="#?([\w-]+)"/g)].map(([, id]) =>
      id
    );
    deepStrictEqual(references.filter((id) => !ids.includes(id)), [], name);
    const levels = [...page.matchAll(/<h(\d)/g)].map(([, level]) => Number(level));
    strictEqual(levels[0], 1, name);
    ok(levels.every((level, at) => level <= (levels[at - 1] ?? 0) + 1), `${name}: ${levels}`);
    doesNotMatch(page, / style=| on\w+=|<style|<script(?! type="module" src="\/)|https?:/, name);
  }
});

Deno.test("the page Now names the parts that have a problem, and otherwise says that all is well", async () => {
  const { now } = views(HARMLESS);
  const problems = (["database", "broker", "database"] as const).map((part) => ({
    part,
    text: `${part} is away`,
  }));
  match(
    await html(NowPage({ now: { ...now, problems } })),
    /3 problems with the database and the Kafka broker\./,
  );
  match(await html(NowPage({ now: { ...now, problems: [] } })), /All is well/);
});

Deno.test("the page Now says who needs attention, and how many more than it lists", async () => {
  const { now } = views(HARMLESS);
  const page = await html(NowPage({ now: { ...now, customers: { ...now.customers, high: 9_998 } } }));
  match(page, /high 191 bpm/);
  match(page, /silent, last 191 bpm/);
  match(page, /<time datetime="2026-01-31T07:59:00\.000Z" data-as="since">/);
  match(page, /3 of 10\u202f000 are listed/);
  const customers = { ...now.customers, low: 0, high: 0, silent: 0 };
  match(await html(NowPage({ now: { ...now, customers, attention: [] } })), /No customer needs attention/);
});

Deno.test("a bar of heart rates that a limit crosses has the colours of both sides", async () => {
  const { now } = views(HARMLESS);
  const limits = { ...now.limits, low: 45, high: 180 };
  const distribution = [40, 45, 180, 185].map((from) => ({ from, customers: 1 }));
  const page = await html(NowPage({ now: { ...now, limits, distribution } }));
  const bars = [...page.matchAll(/<rect class="(\w+)".*?<title>(\d+)/gs)].map(([, kind, from]) =>
    `${from} ${kind}`
  );
  deepStrictEqual(bars, ["40 low", "45 within", "180 within", "180 high", "185 high"]);
});

Deno.test("before the first reading, the page Now says how to send one", async () => {
  const page = await html(NowPage(emptyViews()));
  match(page, /No reading has arrived yet/);
  match(page, /deno task produce/);
});

Deno.test("the page of a customer sums up the episodes in a sentence", async () => {
  const { customer } = views(HARMLESS);
  const [high, low] = customer.episodes;
  ok(high !== undefined && low !== undefined);
  const sentence = async (...episodes: Customer["episodes"]) => {
    const page = await html(CustomerPage({ customer: { ...customer, episodes }, last: "8h" }));
    return /class="answer">([^<]*)</.exec(page)?.[1];
  };
  strictEqual(
    await sentence(high, low),
    "2 episodes in this range: longest 12 min 4 s, highest 196 bpm, lowest 43 bpm, one is ongoing.",
  );
  strictEqual(await sentence(low), "1 episode in this range: a single reading, lowest 43 bpm.");
});

Deno.test("the page of a customer gives an all-clear only if there are readings in the range", async () => {
  const { customer } = views(HARMLESS);
  const answer = async (hasReadings: boolean) =>
    await html(CustomerPage({ customer: { ...customer, episodes: [], hasReadings }, last: undefined }));
  match(await answer(true), /No anomaly in this range: no reading is below 45 or above 180 bpm/);
  const unknown = await answer(false);
  match(unknown, /No reading in this range, so it is unknown/);
  doesNotMatch(unknown, /No anomaly/);
});

Deno.test("each reject reason is explained, and so is one that the page does not know", async () => {
  const { rejects } = views(HARMLESS);
  const explained = async (reason: string) => {
    const overTime = { stepMs: MINUTE, reasons: [{ reason, total: 1, counts: [1] }] };
    const page = await html(RejectsPage({ rejects: { ...rejects, rejects: [], overTime }, live: false }));
    return /data-label="Meaning"><div>([^<]{20,})</.exec(page)?.[1];
  };
  const unknown = await explained("constructor");
  match(unknown ?? "", /does not know this reason/);
  for (const reason of REJECT_REASONS) {
    const text = await explained(reason);
    ok(text !== undefined && text !== unknown, reason);
  }
});

Deno.test("a reject says whether its content was empty, absent, removed, in hexadecimal or cut", async () => {
  const { rejects } = views(HARMLESS);
  const [reject] = rejects.rejects;
  ok(reject !== undefined);
  const shown = async (change: Partial<Reject>) =>
    await html(RejectsPage({ rejects: { ...rejects, rejects: [{ ...reject, ...change }] }, live: false }));
  match(await shown({ payload: null }), /none: the record has no value/);
  match(await shown({ payload: null, emptied: true }), /deleted by retention/);
  match(await shown({ payload: { encoding: "text", text: "", cut: false } }), /has no bytes/);
  match(
    await shown({ payload: { encoding: "hex", text: "fffe", cut: true } }),
    /hexadecimal\. Only the beginning/,
  );
});

Deno.test("a link of a live page keeps the range open, so that the list does not change without a reject", async () => {
  const later = (live: boolean) => {
    const { rejects } = views(HARMLESS);
    const moved = { from: RANGE.from + 500, to: RANGE.to + 500 };
    return [rejects, { ...rejects, filter: { ...rejects.filter, range: moved } }].map(async (view) =>
      (await Promise.all(Object.values(rejectsFragments(view, live)).map(html))).join("")
    );
  };
  const [before, after] = await Promise.all(later(true));
  strictEqual(before, after);
  const [fixed] = await Promise.all(later(false));
  match(fixed ?? "", /from=2026-01-31T07%3A00%3A00\.000Z&amp;to=2026-01-31T08%3A00%3A00\.000Z/);
});

Deno.test("the page Ledger says at a glance whether anything was lost", async () => {
  const { ledger } = views(HARMLESS);
  match(
    await html(LedgerPage({ ledger })),
    /class="state ok".*Unaccounted: 0 – every offset that was read is stored/s,
  );
  const missing = await html(LedgerPage({ ledger: { ...ledger, unaccounted: "1200" } }));
  match(missing, /class="state trouble".*Unaccounted: 1\u202f200 – the ledger does not add up/s);
  const logs = ledger.logs.map((log) => ({ ...log, gaps: [{ cause: "log_start", offsets: "7" }] }));
  const deleted = await html(LedgerPage({ ledger: { ...ledger, logs } }));
  match(deleted, /class="state trouble".*Lost: 14 – Kafka deleted these/s);
});

Deno.test("the ledger's sums are exact beyond 2^53", async () => {
  const { ledger } = views(HARMLESS);
  const logs = ledger.logs.map((log) => ({ ...log, current: true, stored: "9007199254740993" }));
  match(
    await html(LedgerPage({ ledger: { ...ledger, logs } })),
    /18\u202f014\u202f398\u202f509\u202f481\u202f986/,
  );
});

Deno.test("durations have their two largest units, and counts have narrow spaces", () => {
  const durations = [-1, 999, 12_000, 724_000, 3 * 3_600_000, 100_000_000].map(formatDuration);
  deepStrictEqual(durations, ["0 s", "0 s", "12 s", "12 min 4 s", "3 h", "1 d 3 h"]);
  deepStrictEqual([999, 1_000, "1234567", 12n].map(formatCount), [
    "999",
    "1\u202f000",
    "1\u202f234\u202f567",
    "12",
  ]);
});
