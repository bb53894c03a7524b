import { deepStrictEqual, match } from "node:assert";
import { NAMED_QUERIES, QUERIES } from "../../../workers/sql/queries.ts";

Deno.test("README shows the named queries as --list prints them, the episodes first", async () => {
  const readme = await Deno.readTextFile(new URL("../../../README.md", import.meta.url));
  const blocks = [...readme.matchAll(/^```sql\n(.*?)^```$/gms)].map(([, sql]) => sql);
  deepStrictEqual(blocks, [NAMED_QUERIES]);
  deepStrictEqual([...QUERIES.keys()], [...NAMED_QUERIES.matchAll(/^-- (\w+)/gm)].map(([, name]) => name));
  match([...QUERIES.values()][0] ?? "", /public\.anomaly_episodes\(/);
});
