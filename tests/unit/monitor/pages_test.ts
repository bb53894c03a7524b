import { deepStrictEqual, doesNotMatch, match, ok, strictEqual } from "node:assert";
import { REJECT_REASONS } from "../../../workers/_shared/record/heartbeat.ts";
import { customerFragments, CustomerPage, Latest } from "../../../workers/monitor/pages/customer_page.tsx";
import type { Fragments } from "../../../workers/monitor/pages/layout.tsx";
import { ledgerFragments, LedgerPage } from "../../../workers/monitor/pages/ledger_page.tsx";
import { nowFragments, NowPage } from "../../../workers/monitor/pages/now_page.tsx";
import { ProblemPage } from "../../../workers/monitor/pages/problem_page.tsx";
import { RejectsPage } from "../../../workers/monitor/pages/rejects_page.tsx";
import type { Now, Reject } from "../../../workers/monitor/view/view.ts";
import { emptyViews, HARMLESS, html, MINUTE, views } from "../../support/monitor_views.ts";

const HOSTILE = [
  "<script>alert(1)</script>",
  `"><img src=x onerror=alert(1)>`,
  `' onfocus=alert(1) autofocus '`,
  "</pre></td></table><h1>x</h1>",
  "</title><script>alert(1)</script>",
  "&lt;b&gt;<!--",
  "javascript:alert(1)",
];

/** Each page of the views, with its fragments. */
async function pages({ now, pipeline, customer, rejects, ledger }: ReturnType<typeof views>) {
  const all: Record<string, [page: unknown, fragments: Fragments]> = {
    now: [NowPage({ now }), nowFragments(now)],
    customer: [
      CustomerPage({ customer, pipeline, last: "8h" }),
      {
        latest: Latest({ latest: customer.latest, pipeline }),
        ...customerFragments({ customer, pipeline, last: "8h" }),
      },
    ],
    rejects: [RejectsPage({ rejects, pipeline, live: true }), {}],
    ledger: [LedgerPage({ pipeline, ledger }), ledgerFragments(ledger, pipeline)],
    problem: [ProblemPage({ status: 404, text: customer.customerId }), {}],
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

Deno.test("the page Now names the parts that have a problem, and otherwise says that it is well", async () => {
  const { now } = views(HARMLESS);
  const problems = (["database", "broker", "database"] as const).map((part) => ({
    part,
    text: `${part} is away`,
  }));
  match(
    await html(NowPage({ now: { ...now, problems } })),
    /There is a problem with the database and the Kafka broker\./,
  );
  match(await html(NowPage({ now: { ...now, problems: [] } })), /The pipeline is well/);
});

Deno.test("each page says at its top in one line what is wrong with the pipeline, and nothing while it is well", async () => {
  const well = views(HARMLESS);
  const trouble = {
    ...well.pipeline,
    problems: [{ part: "consumer", text: "No consumer has reported for 12 s." }] as const,
  };
  for (const { name, page } of await pages({ ...well, pipeline: trouble })) {
    if (name === "problem" || name === "now") continue;
    const line = /<main[^>]*>(<div id="state".*?<\/div>)/s.exec(page)?.[1] ?? "";
    match(
      line,
      /There is a problem with the consumer.*No consumer has reported for 12 s\..*href="\/"/s,
      name,
    );
    doesNotMatch(line, / hidden/, name);
  }
  for (const { name, page } of await pages({ ...well, pipeline: { ...well.pipeline, problems: [] } })) {
    if (name !== "problem" && name !== "now") match(page, /<div id="state"[^>]* hidden/, name);
  }
});

Deno.test("while no consumer reads, the page Now says since when all is unknown, and no duration grows", async () => {
  const { now } = views(HARMLESS);
  const page = await html(NowPage({ now: { ...now, stands: true, unknownSince: now.at - MINUTE / 2 } }));
  match(
    page,
    /Unknown since <time datetime="2026-01-31T07:59:30\.000Z" data-as="clock">.*: the pipeline has stopped\./s,
  );
  doesNotMatch(page, /data-as="since"/);
  match(page, /data-label="For"><div>30 s</, "the silence");
  match(await html(NowPage({ now: { ...now, unknownSince: now.at } })), /the pipeline is late\./);
  const attention = { ...now, attention: [], customers: { ...now.customers, low: 0, high: 0, silent: 0 } };
  const none = await html(NowPage({ now: { ...attention, unknownSince: now.at - MINUTE } }));
  doesNotMatch(none, /No customer needs attention/);
});

Deno.test("the page Now says who needs attention, and how many more than it lists", async () => {
  const { now } = views(HARMLESS);
  const page = await html(NowPage({ now: { ...now, customers: { ...now.customers, high: 9_998 } } }));
  match(page, /high 191 bpm/);
  match(page, /silent, last 191 bpm/);
  match(page, /was high, highest 196 bpm.*12 readings in 10 min/);
  match(
    page,
    /from=2026-01-31T06%3A59%3A01\.000Z&amp;to=2026-01-31T07%3A59%3A01\.000Z/,
    "the hour before a silence",
  );
  match(page, /<time datetime="2026-01-31T07:59:00\.000Z" data-as="since">/);
  match(page, /3 of 10\u202f000 are listed/);
  const customers = { ...now.customers, low: 0, high: 0, silent: 0 };
  const clear = async (longSilent: Now["longSilent"], problems: Now["problems"] = []) =>
    await html(NowPage({ now: { ...now, customers, attention: [], longSilent, problems } }));
  match(await clear({ customers: 0, newest: [] }), /class="flag ok">[^.]*No customer needs attention/);
  match(
    await clear({ customers: 0, newest: [] }, now.problems),
    /class="answer">No customer needs attention/,
    "with a problem, the list may lack a customer",
  );
  for (const longSilent of [now.longSilent, null]) {
    match(await clear(longSilent), /class="answer">No customer needs attention/, "a customer may be silent");
  }
});

Deno.test("an episode on the page Now lasts up to its latest reading, and an old reading has its age", async () => {
  const { now } = views(HARMLESS);
  const row = async (since: number, latestAt: number) => {
    const attention = [{ customerId: HARMLESS, kind: "high", since, heartRate: 191, latestAt } as const];
    const page = await html(NowPage({ now: { ...now, attention } }));
    const cells = [...page.matchAll(/data-label="(?:State|For)"><div>(.*?)<\/div>/gs)];
    return cells.map(([, cell = ""]) => cell.replaceAll(/<[^>]*>/g, "").trim());
  };
  const { at } = now;
  deepStrictEqual(await row(at - 3 * MINUTE, at - MINUTE), ["▲ high 191 bpm", "2 min"]);
  deepStrictEqual(await row(at - 2 * MINUTE, at - 2 * MINUTE), [
    "▲ high 191 bpm 2026-01-31 07:58:00 UTC",
    "a single reading",
  ]);
});

Deno.test("the page Now never shows a delay below 0: it says that a clock is ahead", async () => {
  const { now } = views(HARMLESS);
  const delay = async (delayMs: number | null) => {
    const page = await html(NowPage({ now: { ...now, delayMs } }));
    return /<dt>Delay<\/dt><dd>([^<]*)<span class="note">([^<]*)</.exec(page)?.slice(1);
  };
  deepStrictEqual((await delay(400))?.[0], "0.4 s");
  deepStrictEqual((await delay(null))?.[0], "unknown");
  deepStrictEqual(await delay(-90_000), [
    "clock ahead",
    "most measurements are 1 min 30 s later than the database&#39;s clock",
  ]);
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

Deno.test("customers who are silent for more than a day do not vanish: the page Now counts them", async () => {
  const { now } = emptyViews();
  const page = async (customers: number) =>
    await html(NowPage({ now: { ...now, hasStored: true, longSilent: { customers, newest: ["c-1"] } } }));
  const [one, many] = [await page(1), await page(1_200)];
  match(one, /Silent for more than a day: 1 customer\./);
  match(many, /Silent for more than a day: 1\u202f200 customers\./);
  doesNotMatch(many, /No reading has arrived yet|deno task produce|class="flag ok">[^.]*No customer needs/);
});

Deno.test("each reject reason is explained, and so is one that the page does not know", async () => {
  const { rejects, pipeline } = views(HARMLESS);
  const explained = async (reason: string) => {
    const overTime = { stepMs: MINUTE, reasons: [{ reason, total: 1, counts: [1] }] };
    const page = await html(
      RejectsPage({ pipeline, rejects: { ...rejects, rejects: [], overTime }, live: false }),
    );
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
  const { rejects, pipeline } = views(HARMLESS);
  const [reject] = rejects.rejects;
  ok(reject !== undefined);
  const shown = async (change: Partial<Reject>) =>
    await html(
      RejectsPage({ pipeline, rejects: { ...rejects, rejects: [{ ...reject, ...change }] }, live: false }),
    );
  match(await shown({ payload: null }), /none: the record has no value/);
  match(await shown({ payload: null, emptied: true }), /not kept: too old, or erased/);
  match(await shown({ payload: { encoding: "text", text: "", cut: false } }), /has no bytes/);
  match(
    await shown({ payload: { encoding: "hex", text: "fffe", cut: true } }),
    /hexadecimal\. Only the beginning/,
  );
});

Deno.test("a live page of rejects keeps its links open and has a place for new ones; another one says that it is not live", async () => {
  const { rejects, pipeline } = views(HARMLESS);
  const [live, fixed] = await Promise.all(
    [true, false].map((live) => html(RejectsPage({ rejects, pipeline, live }))),
  );
  match(live ?? "", /<a class="button" href="\/rejects" data-rejected="3" hidden="">/);
  doesNotMatch(live ?? "", /from=|not live/);
  match(fixed ?? "", /from=2026-01-31T07%3A00%3A00\.000Z&amp;to=2026-01-31T08%3A00%3A00\.000Z/);
  match(
    fixed ?? "",
    /as of <time datetime="2026-01-31T08:00:00\.000Z" data-as="clock">[^<]*<\/time>, not live/,
  );
  doesNotMatch(fixed ?? "", /data-live|data-rejected/);
});

Deno.test("each reject has an address of its own, whose page has no counts", async () => {
  const { rejects, customer, pipeline } = views(HARMLESS);
  match(await html(CustomerPage({ customer, pipeline, last: "8h" })), /href="\/rejects\?record=1-7"/);
  const filter = { ...rejects.filter, record: "1-7" };
  doesNotMatch(
    await html(RejectsPage({ rejects: { ...rejects, filter }, pipeline, live: false })),
    /id="reasons"/,
  );
});
