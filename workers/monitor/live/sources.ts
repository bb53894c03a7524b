import { customerFragments } from "../pages/customer_page.tsx";
import type { Fragments } from "../pages/layout.tsx";
import { ledgerFragments } from "../pages/ledger_page.tsx";
import { nowFragments } from "../pages/now_page.tsx";
import { rejectsFragments } from "../pages/rejects_page.tsx";
import type { Queries } from "../queries/queries.ts";
import type { Range } from "../view/view.ts";
import { CustomerTail } from "./customer_tail.ts";
import type { Snapshot, Source } from "./feed.ts";
import { Tails } from "./tails.ts";

/** Without new readings, only rejects and the state of an episode can change. */
const REFRESH_CUSTOMER_MS = 5_000;

export type Sources = ReturnType<typeof createSources>;

/** What each feed asks, and how the answer looks as HTML. */
export function createSources(queries: Queries) {
  const tails = new Tails(queries.tail);
  const whole = <T extends { readonly at: number }>(
    name: Source["name"],
    ask: () => Promise<T>,
    fragments: (view: T) => Fragments,
  ): Source => ({
    name,
    chosen: "",
    poll: async () => {
      const view = await ask();
      return { at: view.at, fragments: await htmlOf(fragments(view)) };
    },
  });
  return {
    now: whole("now", queries.now, nowFragments),
    ledger: whole("ledger", queries.ledger, ledgerFragments),
    /** @param range the rejects without a filter */
    rejects: (range: (now: number) => Range) => {
      const noFilter = { reason: undefined, customerId: undefined, before: undefined };
      return whole(
        "rejects",
        () => queries.rejects({ ...noFilter, range: range(Date.now()) }),
        rejectsFragments,
      );
    },
    /** @param chosen names customer and range */
    customer: (chosen: string, id: string, range: (now: number) => Range): Source => ({
      name: "customer",
      chosen,
      poll: pollCustomer(queries, tails, id, range),
    }),
  };
}

function pollCustomer(
  queries: Queries,
  tails: Tails,
  id: string,
  range: (now: number) => Range,
): () => Promise<Snapshot> {
  const read = async () => ({ customer: await queries.customer(id, range(Date.now())), readAt: Date.now() });
  let known: Awaited<ReturnType<typeof read>> | undefined;
  let tail: CustomerTail | undefined;
  return async () => {
    const wasKnown = known !== undefined;
    known ??= await read();
    tail ??= new CustomerTail(known.customer.latest?.ts ?? known.readAt);
    const window = await tails.after(id, tail.after);
    const readings = tail.unsent(window);
    const isOld = Date.now() - known.readAt >= REFRESH_CUSTOMER_MS;
    if (wasKnown && (readings.length > 0 || isOld)) known = await read();
    // Only now: after a failure, the next poll sends the same readings.
    tail.markSent(window);
    return { at: Date.now(), fragments: await htmlOf(customerFragments(known.customer)), readings };
  };
}

async function htmlOf(fragments: Fragments): Promise<Record<string, string>> {
  const html = Object.entries(fragments).map(async ([id, element]) => [id, (await element).toString()]);
  return Object.fromEntries(await Promise.all(html));
}
