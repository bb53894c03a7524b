import { strictEqual } from "node:assert";
import { LedgerWatch } from "../../../chaos/judge/ledger_watch.ts";
import type { Query } from "../../../chaos/judge/query.ts";

Deno.test("LedgerWatch remembers a rebuild after it is over", async () => {
  let rebuilding = "0";
  const query: Query = (sql) => {
    const isAsked = /count\(cursor\) from public\.rollup\) as rebuilding/.test(sql);
    return Promise.resolve([{ kafka_partition: 0, next: "1", ...isAsked ? { rebuilding } : {} }] as never);
  };
  const watch = new LedgerWatch(query, "t");
  const seen: boolean[] = [];
  for (rebuilding of ["0", "1", "0"]) {
    await watch.look();
    seen.push(watch.sawRebuild);
  }
  strictEqual(seen.join(), "false,true,true");
});
