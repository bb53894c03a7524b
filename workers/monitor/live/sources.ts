import { customerFragments, Latest } from "../pages/customer_page.tsx";
import type { Fragments } from "../pages/layout.tsx";
import { ledgerFragments } from "../pages/ledger_page.tsx";
import { nowFragments } from "../pages/now_page.tsx";
import { State } from "../pages/state.tsx";
import type { Queries } from "../queries/queries.ts";
import { TAIL_ROWS } from "../queries/readings.ts";
import { type Preset, PRESETS, type Reading } from "../view/view.ts";
import type { Source } from "./feed.ts";
import { Tails } from "./tails.ts";

/** Episodes and rejects are read at most so often. */
const REFRESH_CUSTOMER_MS = 5_000;
/** Each poll reads the last minute again. A reading can be committed after a newer one, and a page is older than its stream. */
const OVERLAP_MS = 60_000;

export type Sources = ReturnType<typeof createSources>;

/** What each feed asks, and how the answer looks as HTML. */
export function createSources(queries: Queries) {
  const tails = new Tails(queries.tail);
  return {
    now: {
      name: "now",
      poll: async () => {
        const now = await queries.now();
        return {
          at: now.at,
          fragments: await htmlOf({ state: State({ pipeline: now, whole: true }), ...nowFragments(now) }),
        };
      },
    } satisfies Source,
    ledger: {
      name: "ledger",
      poll: async () => {
        const [ledger, pipeline] = await Promise.all([queries.ledger(), queries.state()]);
        return {
          at: ledger.at,
          fragments: await htmlOf({ state: State({ pipeline }), ...ledgerFragments(ledger, pipeline) }),
        };
      },
    } satisfies Source,
    rejects: {
      name: "rejects",
      poll: async () => {
        const [rejected, pipeline] = await Promise.all([queries.rejected(), queries.state()]);
        return { ...rejected, fragments: await htmlOf({ state: State({ pipeline }) }) };
      },
    } satisfies Source,
    customer: (customerId: string, preset: Preset): Source => ({
      name: "customer",
      customerId,
      preset,
      poll: pollCustomer(queries, tails, customerId),
    }),
  };
}

/** Reads new readings with each poll, and the rest of the pages more seldom. */
function pollCustomer(queries: Queries, tails: Tails, id: string): Source["poll"] {
  const html: Record<string, string> = {};
  let stored: Reading | null = null;
  let readAt = -Infinity;
  let after: number | undefined;
  return async (presets) => {
    const now = Date.now();
    const pipeline = await queries.state();
    if (now - readAt >= REFRESH_CUSTOMER_MS) {
      for (const preset of presets) {
        const customer = await queries.customer(id, { from: now - PRESETS[preset].ms, to: now });
        stored = customer.latest;
        Object.assign(html, await htmlOf(customerFragments({ customer, pipeline, last: preset }), preset));
      }
      readAt = now;
    }
    // A reading from the future must not hide the readings before it.
    const overlap = (newest: number) => Math.min(newest, now) - OVERLAP_MS;
    const readings = await tails.after(id, after ?? overlap(stored?.ts ?? now));
    const newest = readings.at(-1);
    if (newest !== undefined) after = readings.length < TAIL_ROWS ? overlap(newest.ts) : newest.ts;
    const latest = Latest({ latest: newest ?? stored, pipeline });
    const fragments = { ...html, ...await htmlOf({ state: State({ pipeline }), latest }) };
    return { at: Date.now(), fragments, readings };
  };
}

/** @param preset of the pages that show the fragments. Without it, all pages do. */
async function htmlOf(fragments: Fragments, preset?: Preset): Promise<Record<string, string>> {
  const html = Object.entries(fragments).map(async ([id, element]) => {
    return [preset === undefined ? id : `${id}@${preset}`, (await element).toString()];
  });
  return Object.fromEntries(await Promise.all(html));
}
