import { strictEqual } from "node:assert";
import { LedgerWatch } from "../../../chaos/judge/ledger_watch.ts";
import type { Query } from "../../../chaos/judge/query.ts";

Deno.test("LedgerWatch remembers a rebuild after it ends", async () => {
  let isRebuilding = false;
  const query: Query = (sql) => {
    const isAsked = /from public\.rollup where cursor is not null/.test(sql);
    return Promise.resolve(
      (isAsked ? (isRebuilding ? [{}] : []) : [{ kafka_partition: 0, next: "1" }]) as never,
    );
  };
  const watch = new LedgerWatch(query, "t");
  const seen: boolean[] = [];
  for (isRebuilding of [false, true, false]) {
    await watch.read();
    seen.push(watch.sawRebuild);
  }
  strictEqual(seen.join(), "false,true,true");
});
