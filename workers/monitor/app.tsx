/** Folder `monitor`: serves the page that shows the data live. It only reads the database. This file: the routes. */
import { type Context, Hono } from "hono";
import { compress } from "hono/compress";
import { PipelineError, UsageError } from "../_shared/errors.ts";
import type { Access } from "./access/access.ts";
import { isForPerson } from "./access/refuse.ts";
import { assetResponse } from "./assets/assets.ts";
import type { Source } from "./live/feed.ts";
import type { Feeds } from "./live/feeds.ts";
import type { Sources } from "./live/sources.ts";
import { CustomerPage } from "./pages/customer_page.tsx";
import { LedgerPage } from "./pages/ledger_page.tsx";
import { NowPage } from "./pages/now_page.tsx";
import { ProblemPage } from "./pages/problem_page.tsx";
import { RejectsPage } from "./pages/rejects_page.tsx";
import { customerParameters, prefixParameter, rejectParameters } from "./parameters.ts";
import type { Queries } from "./queries/queries.ts";
import type { MonitorTelemetry } from "./telemetry/telemetry.ts";

/** After this time, a browser reloads a page that could not be shown. */
const RETRY_SECONDS = "5";

interface Dependencies {
  readonly access: Access;
  readonly queries: Queries;
  readonly sources: Sources;
  readonly feeds: Feeds;
  readonly telemetry: MonitorTelemetry;
}

/** The routes. A failure becomes a page that says what happened and what to do. */
export function createApp(dependencies: Dependencies): Hono {
  const { access, telemetry } = dependencies;
  const app = new Hono();
  app.use(access.guard);
  // Never event streams: a compressor would hold events back.
  app.use(compress({ encoding: "gzip" }));
  access.mount(app);
  app.get("/assets/*", (c) => assetResponse(c.req.path) ?? c.notFound());
  addPages(app, dependencies);
  addData(app, dependencies);
  addStreams(app, dependencies);
  app.notFound((c) => problem(c, 404, `${c.req.path} is no page of the monitor.`));
  app.onError((error, c) => {
    if (error instanceof UsageError) {
      return problem(
        c,
        400,
        error.problems.map((text) => text.replace(/\.?$/, ".")).join(" "),
      );
    }
    if (error instanceof PipelineError) return unavailable(c, `${error.message}.`);
    telemetry.pageFailed(error);
    return problem(c, 500, "The monitor has a bug. Its log has the details.");
  });
  return app;
}

function addPages(app: Hono, { queries }: Dependencies): void {
  app.get("/", async (c) => c.html(<NowPage now={await queries.now()} />));
  app.get("/ledger", async (c) => {
    const [ledger, pipeline] = await Promise.all([queries.ledger(), queries.state()]);
    return c.html(<LedgerPage ledger={ledger} pipeline={pipeline} />);
  });
  app.get("/customer", async (c) => {
    const { id, range, last } = customerParameters(c.req.query());
    const [customer, pipeline] = await Promise.all([queries.customer(id, range), queries.state()]);
    return c.html(<CustomerPage customer={customer} pipeline={pipeline} last={last} />);
  });
  app.get("/rejects", async (c) => {
    const { filter, last } = rejectParameters(c.req.query());
    const [rejects, pipeline] = await Promise.all([queries.rejects(filter), queries.state()]);
    const { range: _, ...chosen } = filter;
    const isFiltered = Object.values(chosen).some((value) => value !== undefined);
    return c.html(<RejectsPage {...{ rejects, pipeline }} live={last !== undefined && !isFiltered} />);
  });
}

function addData(app: Hono, { queries }: Dependencies): void {
  app.get("/customer/data", async (c) => {
    const { id, range } = customerParameters(c.req.query());
    return c.json(await queries.series(id, range));
  });
  app.get("/customers", async (c) => c.json(await queries.search(prefixParameter(c.req.query()))));
  app.get("/customer.csv", async (c) => {
    const { id, range } = customerParameters(c.req.query());
    const rows = queries.csv(id, range);
    // Read before the answer begins, so that a failure still has its status.
    const { value: first } = await rows.next();
    const [begin, end] = [range.from, range.to].map((ms) =>
      new Date(ms).toISOString().slice(0, 16).replace(":", "")
    );
    return c.body(ReadableStream.from(startingWith(first, rows)).pipeThrough(new TextEncoderStream()), 200, {
      "content-type": "text/csv; charset=utf-8",
      "content-disposition": `attachment; filename="heart_rate_${begin}_${end}.csv"`,
    });
  });
}

function addStreams(app: Hono, { sources, feeds }: Dependencies): void {
  const stream = (c: Context, source: Source) => {
    const events = feeds.listen(source);
    if (typeof events === "string") return unavailable(c, events);
    return c.body(events, 200, { "content-type": "text/event-stream", "x-accel-buffering": "no" });
  };
  app.get("/live/now", (c) => stream(c, sources.now));
  app.get("/live/ledger", (c) => stream(c, sources.ledger));
  app.get("/live/rejects", (c) => stream(c, sources.rejects));
  app.get("/live/customer", (c) => {
    const { id, last } = customerParameters(c.req.query());
    // A page with a fixed range ignores what depends on the preset.
    return stream(c, sources.customer(id, last ?? "1h"));
  });
}

/** Reads the next piece only after the viewer has taken the previous one. */
async function* startingWith<T>(first: T, rest: AsyncIterable<T>): AsyncGenerator<T> {
  yield first;
  yield* rest;
}

function unavailable(c: Context, text: string) {
  c.header("retry-after", RETRY_SECONDS);
  c.header("refresh", RETRY_SECONDS);
  return problem(c, 503, text);
}

function problem(c: Context, status: 400 | 404 | 500 | 503, text: string) {
  return isForPerson(c) ? c.html(<ProblemPage status={status} text={text} />, status) : c.text(text, status);
}
