import { customerFragments, Latest } from "../pages/customer_page.tsx";
import type { Fragments } from "../pages/layout.tsx";
import { ledgerFragments } from "../pages/ledger_page.tsx";
import { nowFragments } from "../pages/now_page.tsx";
import { State } from "../pages/state.tsx";
import type { Queries } from "../queries/queries.ts";
import { type PipelineState, type Preset, PRESETS } from "../view/view.ts";
import { CustomerTail } from "./customer_tail.ts";
import type { Source } from "./feed.ts";
import { Tails } from "./tails.ts";

/** Episodes and rejects are read at most so often. */
const REFRESH_CUSTOMER_MS = 5_000;

export type Sources = ReturnType<typeof createSources>;

/** What each feed asks, and how the answer looks as HTML. */
export function createSources(queries: Queries) {
  const tails = new Tails(queries.tail);
  return {
    now: {
      name: "now",
      chosen: "",
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
      chosen: "",
      poll: async () => {
        const [ledger, pipeline] = await Promise.all([queries.ledger(), queries.state()]);
        return {
          at: ledger.at,
          fragments: await htmlOf({ ...stateOf(pipeline), ...ledgerFragments(ledger, pipeline) }),
        };
      },
    } satisfies Source,
    rejects: {
      name: "rejects",
      chosen: "",
      poll: async () => {
        const [rejected, pipeline] = await Promise.all([queries.rejected(), queries.state()]);
        return { ...rejected, fragments: await htmlOf(stateOf(pipeline)) };
      },
    } satisfies Source,
    /** @param view the range of the page, if it ends now */
    customer: (id: string, view: Preset | undefined): Source => ({
      name: "customer",
      chosen: JSON.stringify(id),
      view,
      poll: pollCustomer(queries, tails, id),
    }),
  };
}

/** Reads new readings with each poll, and the rest of the pages more seldom. */
function pollCustomer(queries: Queries, tails: Tails, id: string): Source["poll"] {
  // Pages with a fixed range need only the latest reading.
  const read = async (readAt: number, [first = "1h", ...others]: readonly Preset[]) => {
    const ask = (view: Preset) => queries.customer(id, { from: readAt - PRESETS[view].ms, to: readAt });
    const customer = await ask(first);
    const html = await htmlOf(customerFragments(customer), first);
    for (const view of others) Object.assign(html, await htmlOf(customerFragments(await ask(view)), view));
    return { customer, html, readAt };
  };
  let known: Awaited<ReturnType<typeof read>> | undefined;
  let tail: CustomerTail | undefined;
  return async (views) => {
    const now = Date.now();
    const pipeline = await queries.state();
    if (known === undefined || now - known.readAt >= REFRESH_CUSTOMER_MS) known = await read(now, [...views]);
    const { customer, html } = known;
    tail ??= new CustomerTail(customer.latest?.ts ?? now);
    const window = await tails.after(id, tail.after);
    const readings = tail.unsent(window);
    const newest = window.at(-1);
    const latest = newest !== undefined && newest.ts > (customer.latest?.ts ?? -Infinity)
      ? newest
      : customer.latest;
    const fragments = {
      ...html,
      ...await htmlOf({ ...stateOf(pipeline), latest: Latest({ latest, pipeline }) }),
    };
    // Only now: after a failure, the next poll sends the same readings.
    tail.markSent(window);
    return { at: Date.now(), fragments, readings };
  };
}

function stateOf(pipeline: PipelineState): Fragments {
  return { state: State({ pipeline, whole: false }) };
}

/** @param view the only one that shows the fragments. Without it, all do. */
async function htmlOf(fragments: Fragments, view?: Preset): Promise<Record<string, string>> {
  const html = Object.entries(fragments).map(async ([id, element]) => {
    return [view === undefined ? id : `${id}@${view}`, (await element).toString()];
  });
  return Object.fromEntries(await Promise.all(html));
}
