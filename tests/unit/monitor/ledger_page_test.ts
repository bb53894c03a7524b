import { deepStrictEqual, doesNotMatch, match, ok } from "node:assert";
import { LedgerPage } from "../../../workers/monitor/pages/ledger_page.tsx";
import { HARMLESS, html, RANGE, views } from "../../support/monitor_views.ts";

Deno.test("the page Ledger says at a glance whether anything was lost", async () => {
  const { ledger, pipeline } = views(HARMLESS);
  match(
    await html(LedgerPage({ pipeline, ledger })),
    /class="state ok".*Unaccounted: 0 – every offset is stored/s,
  );
  const missing = await html(LedgerPage({ pipeline, ledger: { ...ledger, unaccounted: "1200" } }));
  match(missing, /class="state trouble".*Unaccounted: 1\u202f200 – the ledger does not add up/s);
  const logs = ledger.logs.map((log) => ({ ...log, gaps: [{ cause: "log_start", offsets: "7" }] }));
  const deleted = await html(LedgerPage({ pipeline, ledger: { ...ledger, logs } }));
  match(deleted, /class="state trouble".*Lost: 14 – Kafka deleted these/s);
});

Deno.test("the page Ledger does not add up unknown lags, and says for how long nothing was read", async () => {
  const { ledger, pipeline } = views(HARMLESS);
  const [log] = ledger.logs;
  ok(log !== undefined);
  const page = async (lags: readonly (string | null)[], unknownSince: number | null) => {
    const logs = lags.map((lag) => ({ ...log, lag }));
    return await html(
      LedgerPage({ ledger: { ...ledger, logs }, pipeline: { ...pipeline, stands: true, unknownSince } }),
    );
  };
  const lag = (page: string) => /<tfoot.*data-label="Lag"><div>([^<]*)</s.exec(page)?.[1];
  const reads = await page(["3", "4"], null);
  deepStrictEqual(lag(reads), "7");
  doesNotMatch(reads, /nothing was read/);
  const stands = await page(["3", null], RANGE.to);
  deepStrictEqual(lag(stands), "unknown");
  match(stands, /nothing was read for <time datetime="2026-01-31T08:00:00\.000Z" data-as="since">/);
});

Deno.test("the ledger's sums are exact beyond 2^53", async () => {
  const { ledger, pipeline } = views(HARMLESS);
  const logs = ledger.logs.map((log) => ({ ...log, current: true, stored: "9007199254740993" }));
  match(
    await html(LedgerPage({ pipeline, ledger: { ...ledger, logs } })),
    /18\u202f014\u202f398\u202f509\u202f481\u202f986/,
  );
});
