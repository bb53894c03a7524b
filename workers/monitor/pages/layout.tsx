import { raw } from "hono/html";
import type { Child } from "hono/jsx";
import type { JSX } from "hono/jsx/jsx-runtime";
import { printable } from "../../_shared/output.ts";
import { asset } from "../assets/assets.ts";
import type { PipelineState, Range } from "../view/view.ts";
import { Instant } from "./instant.tsx";
import { rangeQuery } from "./range_form.tsx";
import { State } from "./state.tsx";

/** Elements by their ids. The live stream replaces them one by one. */
export type Fragments = Readonly<Record<string, JSX.Element>>;

const PAGES = { now: ["/", "Now"], rejects: ["/rejects", "Rejects"], ledger: ["/ledger", "Ledger"] } as const;

interface LayoutProps {
  readonly title: string;
  readonly page?: keyof typeof PAGES | "customer";
  /** The path of the page's event stream, such as `/live/now`. Without one, the page stays as it is. */
  readonly live?: string | undefined;
  /** Without a stream: when the data was read. */
  readonly asOf?: number;
  /** Stands at the top. Only the page Now lists all problems. */
  readonly pipeline?: PipelineState;
  readonly children?: Child;
}

/** The whole document around a page's content. */
export function Layout({ title, page, live, asOf, pipeline, children }: LayoutProps) {
  return (
    <>
      {raw("<!doctype html>")}
      <html lang="en" data-live={live}>
        <head>
          <meta charset="utf-8" />
          <meta name="viewport" content="width=device-width, initial-scale=1" />
          <title>{printable(title)} · Heartbeat pipeline</title>
          {page === "customer" && <link rel="stylesheet" href={asset("chart.css")} />}
          <link rel="icon" href={asset("icon.svg")} type="image/svg+xml" />
          <link rel="stylesheet" href={asset("style.css")} />
          <script type="module" src={asset("client.js")}></script>
        </head>
        <body class={page}>
          <a class="skip" href="#main">Skip to the content</a>
          <header>
            <a class="name" href="/">Heartbeat pipeline</a>
            <nav aria-label="Pages">
              {Object.entries(PAGES).map(([key, [href, name]]) => (
                <a href={href} aria-current={key === page ? "page" : undefined}>{name}</a>
              ))}
            </nav>
            <CustomerSearch />
            {live && <p id="connection" data-state="connecting">connecting</p>}
            {asOf !== undefined && (
              <p class="as-of">
                as of <Instant at={asOf} as="clock" />, not live
              </p>
            )}
            <p class="note">
              Times: <span data-zone>UTC</span>
            </p>
            <form method="post" action="/logout">
              <button type="submit">Sign out</button>
            </form>
          </header>
          <main id="main" tabindex={-1}>
            {pipeline && <State pipeline={pipeline} whole={page === "now"} />}
            {children}
          </main>
        </body>
      </html>
    </>
  );
}

function CustomerSearch() {
  const asTyped = { autocomplete: "off", autocapitalize: "off", spellcheck: false } as const;
  return (
    <form role="search" action="/customer">
      <label for="search">Customer</label>
      <input
        id="search"
        name="id"
        placeholder="id"
        required
        {...asTyped}
        list="ids"
        data-customer-search
      />
      <datalist id="ids"></datalist>
      <button type="submit">Open</button>
    </form>
  );
}

/** A part of a page with a heading, which the live stream can replace. */
export function Section(
  { id, title, children }: { readonly id: string; readonly title: string; readonly children: Child },
) {
  return (
    <section id={id} aria-labelledby={`${id}-title`}>
      <h2 id={`${id}-title`}>{title}</h2>
      {children}
    </section>
  );
}

/** A customer's id as a link to the customer's page. */
export function CustomerLink({ id, range }: { readonly id: string; readonly range?: Range | undefined }) {
  const query = new URLSearchParams({ id, ...(range && rangeQuery(range)) });
  return <a class="id" href={`/customer?${query}`}>{printable(id)}</a>;
}
