import { deepStrictEqual, doesNotMatch, match, ok, strictEqual } from "node:assert";
import { type IncomingMessage, request } from "node:http";
import { beats, reading } from "../../../lab/beats.ts";
import { eventually } from "../../../lab/eventually.ts";
import { Monitor, READER_PASSWORD } from "../../../lab/monitor.ts";
import { WorkerProcess } from "../../../lab/worker_process.ts";
import { Listener } from "../../support/live_events.ts";
import { urlOf } from "../../support/roles.ts";
import { onPlace } from "../../support/services.ts";
import { asset } from "../../../workers/monitor/assets/assets.ts";

interface Viewer {
  readonly origin: string;
  readonly cookie: string;
  readonly get: (path: string, headers?: Readonly<Record<string, string>>) => Promise<Response>;
}

/** Opens the address that the monitor logs, and returns requests with the cookie. */
async function signIn(monitor: WorkerProcess): Promise<Viewer> {
  const { url } = await monitor.untilLogged("monitor.address");
  const opened = await fetch(String(url), { redirect: "manual" });
  await opened.body?.cancel();
  const cookie = opened.headers.get("set-cookie")?.split(";")[0] ?? "";
  const { origin } = new URL(String(url));
  return {
    origin,
    cookie,
    get: (path, headers = {}) => fetch(`${origin}${path}`, { headers: { cookie, ...headers } }),
  };
}

const HTML = { accept: "text/html" };

/** With `node:http`, because fetch() removes the header when it decompresses an answer. */
async function encodingOf({ origin, cookie }: Viewer, path: string): Promise<string | undefined> {
  const headers = { cookie, "accept-encoding": "gzip", ...HTML };
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  request(`${origin}${path}`, { headers, agent: false }, resolve).on("error", reject).end();
  const response = await promise;
  response.destroy();
  return response.headers["content-encoding"];
}

async function refusal({ get }: Viewer, path: string): Promise<[number, string]> {
  const response = await get(path);
  return [response.status, await response.text()];
}

Deno.test(
  "a monitor serves a page that says that the database is away, tries again and recovers",
  onPlace({ partitions: 0 }, async (place) => {
    await using monitor = await Monitor.start({
      databaseUrl: place.databaseUrl,
      superuserUrl: place.superuserUrl,
    });
    const viewer = await signIn(monitor.worker);
    await monitor.worker.untilReady();
    await place.stack.postgres.stop();
    await using late = WorkerProcess.start("monitor", {
      env: {
        DATABASE_URL: urlOf(place, "heartbeat_reader", READER_PASSWORD),
        LOG_FORMAT: "json",
        MONITOR_PORT: "0",
      },
    });
    const viewers = [viewer, await signIn(late)];
    await late.untilNotReady(/database: Cannot ask at PostgreSQL/);
    for (const { get } of viewers) {
      for (const path of ["/", "/customer?id=c-1", "/rejects", "/ledger"]) {
        const response = await get(path, HTML);
        strictEqual(response.status, 503, path);
        match(await response.text(), /<!doctype html>.*PostgreSQL at [^ ]+ does not answer\./s);
        deepStrictEqual([response.headers.get("refresh"), response.headers.get("retry-after")], ["5", "5"]);
      }
    }
    await monitor.worker.untilNotReady(/database: Cannot ask at PostgreSQL/);
    strictEqual((await monitor.worker.get("/livez")).status, 200);
    await place.stack.postgres.start();
    for (const { get } of viewers) {
      await eventually("the page to be back", async () => {
        const response = await get("/", HTML);
        await response.body?.cancel();
        return response.status === 200;
      });
    }
    for (const worker of [monitor.worker, late]) {
      await worker.untilReady();
      strictEqual(await worker.stop(), 0);
    }
  }),
);

Deno.test(
  "a login that may write never sees data, also if the monitor started without the database",
  onPlace({}, async (place) => {
    await place.publisher.send([reading("ada", Date.now(), 190)]);
    await place.consumeAll();
    await place.stack.postgres.stop();
    await using monitor = WorkerProcess.start("monitor", {
      env: { DATABASE_URL: place.databaseUrl, LOG_FORMAT: "json", MONITOR_PORT: "0" },
    });
    const { get } = await signIn(monitor);
    await place.stack.postgres.start();
    const answers: string[] = [];
    await eventually("the monitor to end", async () => {
      const answer = await get("/").then((response) => response.text(), () => undefined);
      if (answer !== undefined) answers.push(answer);
      return answer === undefined;
    });
    strictEqual(await monitor.exitCode(), 2);
    for (const answer of answers) doesNotMatch(answer, /ada/);
  }),
);

Deno.test(
  "a wrong parameter is answered with 400 and a sentence that names the value and what was expected",
  onPlace({ partitions: 0 }, async (place) => {
    await using monitor = await Monitor.start({
      databaseUrl: place.databaseUrl,
      superuserUrl: place.superuserUrl,
    });
    const viewer = await signIn(monitor.worker);
    const instant = "expected an instant such as 2026-01-31T08:00:00Z, or milliseconds since 1970.";
    const id =
      "expected a customer's id: 1 to 128 characters without NUL and unpaired surrogates, or an integer up to 2^53-1.";
    const expected: Readonly<Record<string, string>> = {
      "/customer": `id: is missing, ${id}`,
      "/customer?id=%00": `id: is "\\u0000", ${id}`,
      "/customer?id=a&from=yesterday": `from: is "yesterday", ${instant}`,
      "/customer?id=a&from=2026-02-30T00:00:00Z": `from: is "2026-02-30T00:00:00Z", ${instant}`,
      "/customer?id=a&last=2h&to=x": `to: is "x", ${instant} last: is "2h", expected one of 1h, 8h, 24h, 7d.`,
      "/customer?id=a&last=1h&from=1":
        'last: is "1h" together with from or to, expected either last, or from and to.',
      "/customer/data?id=a&to=1":
        "from: is missing, expected an instant before to, which is 1970-01-01T00:00:00.001Z.",
      "/customer.csv?id=a&from=2&to=1":
        "from: is 1970-01-01T00:00:00.002Z, expected an instant before to, which is 1970-01-01T00:00:00.001Z.",
      "/customer?id=a&from=0&to=864000000000":
        "from: is 1970-01-01T00:00:00.000Z, expected an instant at most 31 days before to, which is 1997-05-19T00:00:00.000Z.",
      "/rejects?before=-999999999999999999-1-1":
        'before: is "-999999999999999999-1-1", expected the value of a link to a reject, or to earlier ones',
      "/rejects?reason=Bad": 'reason: is "Bad", expected a reason such as invalid_json.',
      "/customers?prefix=": `prefix: is missing, ${id}`,
    };
    for (const [path, text] of Object.entries(expected)) {
      const [status, answer] = await refusal(viewer, path);
      strictEqual(status, 400, path);
      ok(answer.startsWith(text), `${path}: ${answer}`);
    }
    const page = await viewer.get("/rejects?reason=%3Cscript%3E", HTML);
    strictEqual(page.status, 400);
    match(await page.text(), /<!doctype html>.*reason: is &quot;&lt;script&gt;&quot;, expected a reason/s);
    deepStrictEqual(await refusal(viewer, "/nowhere"), [404, "/nowhere is no page of the monitor."]);
  }),
);

Deno.test(
  "pages and data are compressed, event streams are not, the CSV has each reading, and neither the log nor a metric names a customer",
  onPlace({}, async (place) => {
    await using monitor = await Monitor.start({
      databaseUrl: place.databaseUrl,
      superuserUrl: place.superuserUrl,
    });
    const viewer = await signIn(monitor.worker);
    await place.publisher.send(beats({ customer: "c-1", from: 60, bpm: 71 }));
    await place.consumeAll();
    for (
      const path of [
        "/",
        "/ledger",
        "/rejects",
        "/customer?id=c-1",
        "/customer/data?id=c-1",
        "/customer.csv?id=c-1",
        asset("client.js"),
      ]
    ) {
      strictEqual(await encodingOf(viewer, path), "gzip", path);
    }
    strictEqual(await encodingOf(viewer, "/live/now"), undefined);
    const stream = await viewer.get("/live/now", { "accept-encoding": "gzip" });
    strictEqual(stream.headers.get("content-type"), "text/event-stream");
    await using listener = new Listener(stream.body ?? new ReadableStream());
    await listener.until("tick");
    await listener.until("fragment");
    await using customer = new Listener(
      (await viewer.get("/live/customer?id=c-1")).body ?? new ReadableStream(),
    );
    await customer.until("readings");
    const csv = await viewer.get("/customer.csv?id=c-1&last=1h");
    match(
      csv.headers.get("content-disposition") ?? "",
      /^attachment; filename="heart_rate_[\dT-]+_[\dT-]+\.csv"$/,
    );
    const rows = (await csv.text()).trim().split("\n");
    strictEqual(rows.length, 1 + 13);
    match(rows[1] ?? "", /71/);
    deepStrictEqual(await (await viewer.get("/customers?prefix=c-")).json(), ["c-1"]);
    const series = await (await viewer.get("/customer/data?id=c-1&last=1h")).json();
    deepStrictEqual([series.kind, series.bpm.length], ["raw", 13]);
    doesNotMatch((await monitor.worker.get("/metrics")).text, /c-1/, "a metric names a customer");
    // Open streams do not delay the stop.
    strictEqual(await monitor.worker.stop(), 0);
    doesNotMatch(monitor.worker.output, /\bc-1\\*"|id=c-1/, "the log names a customer");
  }),
);

Deno.test(
  "a monitor refuses to start with a login that may write, and health-check tells whether it is ready",
  onPlace({ partitions: 0 }, async (place) => {
    await using monitor = await Monitor.start(
      { databaseUrl: place.databaseUrl, superuserUrl: place.superuserUrl },
      { HEALTH_PORT: "0" },
    );
    await monitor.worker.untilReady();
    const { port } = await monitor.worker.untilLogged("health.listening");
    await using check = WorkerProcess.start("monitor", {
      args: ["health-check"],
      env: { HEALTH_PORT: String(port) },
    });
    strictEqual(await check.exitCode(), 0, check.output);
    await using owner = WorkerProcess.start("monitor", {
      env: { DATABASE_URL: place.databaseUrl, MONITOR_PORT: "0" },
    });
    strictEqual(await owner.exitCode(), 2);
    match(
      owner.output,
      /Cannot start the monitor: READER_DATABASE_URL or DATABASE_URL logs in as heartbeat_user, which may change data/,
    );
  }),
);
